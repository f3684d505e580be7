// Guest-physical memory, seen from outside of the guest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <godwit/result.h>

namespace godwit::cli {

/// Reads and writes whole or not at all. Thread contract: one thread at a time.
class GuestMemory {
 public:
  virtual ~GuestMemory() = default;
  virtual Result<> read(std::uint64_t address, std::span<std::byte> bytes) = 0;
  virtual Result<> write(std::uint64_t address, std::span<const std::byte> bytes) = 0;
};

}  // namespace godwit::cli
