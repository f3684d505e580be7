#include "qmp/utf8.h"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace godwit::qmp {
namespace {

constexpr bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

/// The smallest code point that needs `length` bytes: a smaller one is an overlong encoding.
constexpr std::uint32_t smallest_of_length(std::size_t length) {
  switch (length) {
    case 2:
      return 0x80;
    case 3:
      return 0x800;
    case 4:
      return 0x10000;
    default:
      return 0x110000;  // five and six bytes can only spell what is out of range
  }
}

}  // namespace

bool is_unicode_character(std::uint32_t value) {
  if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return false;
  if (value >= 0xFDD0 && value <= 0xFDEF) return false;
  return (value & 0xFFFE) != 0xFFFE;
}

CodePoint decode_utf8(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1, true};
  if (lead < 0xC0 || lead >= 0xFE) return {0, 1, false};

  const auto announced = static_cast<std::size_t>(std::countl_one(lead));
  std::uint32_t value = lead & (0x7FU >> announced);
  std::size_t length = 1;
  while (length < std::min(announced, text.size()) && is_continuation(text[length]))
    value = (value << 6) | (static_cast<unsigned char>(text[length++]) & 0x3FU);

  const bool spelled_zero = announced == 2 && value == 0;
  const bool valid =
      length == announced &&
      (spelled_zero || (value >= smallest_of_length(announced) && is_unicode_character(value)));
  return {value, static_cast<std::uint8_t>(length), valid};
}

void append_utf8(std::string& out, std::uint32_t value) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xC0 | (value >> 6));
    put(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    put(0xE0 | (value >> 12));
    put(0x80 | ((value >> 6) & 0x3F));
    put(0x80 | (value & 0x3F));
  } else {
    put(0xF0 | (value >> 18));
    put(0x80 | ((value >> 12) & 0x3F));
    put(0x80 | ((value >> 6) & 0x3F));
    put(0x80 | (value & 0x3F));
  }
}

}  // namespace godwit::qmp
