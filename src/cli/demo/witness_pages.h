// What must stand in each word of the witness guest's memory, and whether it does.
//
// Word n of the page at address A, as pass c wrote it (0: the fill), modulo 2^64:
//   x(0) = (A + c * 2^32) * B,  x(n+1) = x(n) * B + 1,  B = 0x9e3779b97f4a7c15
#pragma once

#include <cstdint>
#include <string>

#include "cli/demo/witness_guest.h"

namespace godwit::cli::demo {

constexpr std::uint64_t first_word(std::uint64_t page_address, std::uint64_t pass) {
  return (page_address + (pass << 32)) * 0x9e3779b97f4a7c15;
}
constexpr std::uint64_t next_word(std::uint64_t word) {
  return word * 0x9e3779b97f4a7c15 + 1;
}

/// What a check of pages found.
struct PageCheck {
  std::uint64_t pages = 0;      ///< checked
  std::uint64_t bad_pages = 0;  ///< with a word that is not what it must be
  std::string first_bad;        ///< says what is wrong with the first of them
};

/// Compares `sample` of the pages that are written only once, chosen evenly by `seed` (all, if there are no
/// more), with what the fill wrote. The guest may be running.
Result<PageCheck> check_static_pages(GuestMemory& memory, const WitnessParameters& parameters,
                                     std::uint32_t sample, std::uint64_t seed);

/// Checks every word of the hot pages of a guest that is stopped in pass `pass`. That pass has rewritten the
/// first of them, in order, up to some word; everything after it is from the pass before. One step down, by
/// one, and no other.
Result<PageCheck> check_hot_pages(GuestMemory& memory, const WitnessParameters& parameters,
                                  std::uint64_t pass);

}  // namespace godwit::cli::demo
