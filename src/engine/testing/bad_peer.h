// For tests of postcopy in which one side is a peer that says what it must not: its RAM, and its words.
#pragma once

#include <cstdint>
#include <initializer_list>

#include <godwit/stream.h>

namespace godwit::engine::testing {

constexpr std::uint64_t kPages = 256;
constexpr std::uint64_t kSize = kPages * page_size;

inline Output bytes(std::initializer_list<int> values) {
  Output out;
  for (const int value : values) out.u8(static_cast<std::uint8_t>(value));
  return out;
}

}  // namespace godwit::engine::testing
