// The witness: a one-sector guest that fills its memory, rewrites a part of it for ever, checks every word
// before it rewrites it, and keeps a record of each moment in which it did not run.
// tests/data/witness/witness.S is its source and says what is where.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cli/guest_memory.h"

namespace godwit::cli::demo {

constexpr std::uint64_t page_bytes = 4096;
constexpr std::uint32_t words_per_page = 512;  ///< of 64 bits

/// Guest-physical addresses.
constexpr std::uint64_t info_address = 0x9000;
constexpr std::uint64_t check_request_address = info_address + 0x30;
constexpr std::uint64_t gap_ring_address = 0x200000;
constexpr std::uint64_t data_address = 0x1000000;

constexpr std::uint32_t gap_ring_entries = 65536;

/// What the guest shall do.
struct WitnessParameters {
  std::uint32_t fill_pages = 0;          ///< written once, from data_address on
  std::uint32_t hot_pages = 0;           ///< the first of these, rewritten for ever
  std::uint32_t words = words_per_page;  ///< rewritten per hot page
  std::uint32_t ticks_per_page = 0;      ///< of its clock, at least; 0: as fast as it can
  std::uint32_t gap_ticks = 0;           ///< pauses this long or longer go to the ring
};

/// The boot sector for it.
std::array<std::byte, 512> witness_image(const WitnessParameters& parameters);

/// The guest's counters at one moment. The 32-bit ones wrap around.
struct WitnessInfo {
  std::chrono::steady_clock::time_point host_time;  ///< when they were read
  std::uint64_t iterations = 0;                     ///< turns of its loop
  std::uint64_t clock = 0;                          ///< its time stamp counter in the last turn
  std::uint64_t pass = 0;                           ///< over the hot pages; 0 while it fills
  std::uint32_t gaps = 0;                           ///< recorded so far
  std::uint32_t pages = 0;                          ///< written so far
  std::uint32_t errors = 0;                         ///< words that were not what they had to be
  bool checking = false;  ///< a check of the static pages was asked for and is not done
};

/// Reads the counters; `host_time` is when the answer was there.
Result<WitnessInfo> read_info(GuestMemory& memory);

/// One pause of the guest, by its own clock.
struct Gap {
  std::uint64_t end = 0;
  std::uint64_t ticks = 0;
};

/// The gaps with the numbers `first` to `first + count - 1`, oldest first; the newest gap_ring_entries of
/// them if they are more.
Result<std::vector<Gap>> read_gaps(GuestMemory& memory, std::uint32_t first, std::uint32_t count);

/// Asks the running guest to check the pages it does not rewrite.
Result<> request_check(GuestMemory& memory);

}  // namespace godwit::cli::demo
