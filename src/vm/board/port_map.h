// The I/O ports: which device answers where. Devices are bytes wide, as on the ISA bus.
#pragma once

#include <cstdint>
#include <vector>

namespace godwit::vm {

/// Called on vCPU threads, several at once: implementations lock what they must.
class PortDevice {
 public:
  virtual ~PortDevice() = default;
  virtual std::uint8_t read(unsigned offset) = 0;
  virtual void write(unsigned offset, std::uint8_t value) = 0;

  /// An access of 2 or 4 bytes that lies in the device as a whole. Here: one per byte, lowest port first.
  virtual std::uint32_t read_wide(unsigned offset, unsigned size);
  virtual void write_wide(unsigned offset, unsigned size, std::uint32_t value);
};

/// Filled before the machine starts, unchanged afterwards, so thread-safe.
class PortMap {
 public:
  /// The device outlives the map.
  void add(std::uint16_t first, unsigned count, PortDevice& device) {
    ranges_.push_back({first, count, &device});
  }

  /// An access of several bytes that is not all one device's is one access per byte, lowest port first. A
  /// port nobody has reads as all ones.
  std::uint32_t read(std::uint16_t port, unsigned size) const;
  void write(std::uint16_t port, unsigned size, std::uint32_t value) const;

 private:
  struct Range {
    unsigned first;
    unsigned count;
    PortDevice* device;
  };
  const Range* find(unsigned port) const;
  std::vector<Range> ranges_;
};

}  // namespace godwit::vm
