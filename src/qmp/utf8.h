// UTF-8 as the monitor reads and prints it (control-plane sections 1.1 and 2): strict, except that U+0000 may
// be written as the two bytes C0 80.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::qmp {

/// What stands at the front of a text.
struct CodePoint {
  std::uint32_t value = 0;  ///< meaningless if not valid
  std::uint8_t length = 0;  ///< how many bytes to go on by; at least 1
  bool valid = false;
};

/// Decodes the first code point of `text`, which is not empty. A lead byte with the continuation bytes that
/// belong to it is one unit, valid or not: an invalid sequence is replaced by one U+FFFD, not by one per
/// byte.
CodePoint decode_utf8(std::string_view text);

/// True for what a JSON text may contain: no surrogate, no noncharacter, nothing above U+10FFFF.
bool is_unicode_character(std::uint32_t value);

void append_utf8(std::string& out, std::uint32_t value);

}  // namespace godwit::qmp
