// Guest-physical memory that is devices: which one answers where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace godwit::vm {

/// Called on vCPU threads, several at once: implementations lock what they must. `offset` is from the start
/// of the device; an access does not reach past its end.
class MmioDevice {
 public:
  virtual ~MmioDevice() = default;
  virtual void read(std::uint64_t offset, std::span<std::byte> into) = 0;
  virtual void write(std::uint64_t offset, std::span<const std::byte> from) = 0;
};

/// Filled before the machine starts, unchanged afterwards, so thread-safe.
class MmioMap {
 public:
  /// The device outlives the map; ranges do not overlap.
  void add(std::uint64_t first, std::uint64_t size, MmioDevice& device) {
    ranges_.push_back({first, size, &device});
  }

  /// True if a device took the whole access.
  bool read(std::uint64_t guest_address, std::span<std::byte> into) const;
  bool write(std::uint64_t guest_address, std::span<const std::byte> from) const;

 private:
  struct Range {
    std::uint64_t first;
    std::uint64_t size;  ///< bytes
    MmioDevice* device;
  };
  const Range* find(std::uint64_t guest_address, std::size_t length) const;
  std::vector<Range> ranges_;
};

}  // namespace godwit::vm
