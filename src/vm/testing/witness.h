// The guest that loads a migration and witnesses it: what a test needs to start it and to read its records.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "vm/machine.h"

namespace godwit::vm::testing {

extern const std::array<std::uint8_t, 512> witness_image;

/// How its boot sector is patched.
struct WitnessParameters {
  std::int32_t fill_pages = 64;
  std::int32_t hot_pages = 16;
  std::int32_t words = 1;         ///< rewritten per page
  std::int32_t ticks = 0;         ///< of the time stamp counter, per page at least
  std::int32_t gap = 0x7fffffff;  ///< ticks from which a gap is recorded
  std::int32_t kind = -1;
};

std::vector<std::byte> witness_sector(const WitnessParameters& parameters);

/// What the guest writes to its information page.
struct WitnessRecords {
  std::uint64_t iterations = 0;
  std::uint64_t last_tsc = 0;
  std::uint64_t pass = 0;
  std::uint32_t gaps = 0;
  std::uint32_t pages = 0;
  std::uint32_t errors = 0;
  std::uint64_t longest_gap = 0;  ///< ticks
};

WitnessRecords witness_records(Machine& machine);

/// A file with these contents, removed at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::span<const std::byte> contents);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace godwit::vm::testing
