// A virtio-mmio transport without a device behind it.
#pragma once

#include <algorithm>
#include <cstring>

#include "vm/board/mmio_map.h"

namespace godwit::vm {

/// Keeps no state, so there is no section.
class VirtioSlot final : public MmioDevice {
 public:
  static constexpr std::uint64_t size = 0x200;  ///< bytes of guest memory

  void read(std::uint64_t offset, std::span<std::byte> into) override {
    std::ranges::fill(into, std::byte{0});
    const std::uint32_t value = offset % 4 == 0 ? register_at(offset) : 0;
    if (into.size() == sizeof value) std::memcpy(into.data(), &value, sizeof value);
  }
  void write(std::uint64_t, std::span<const std::byte>) override {}

 private:
  static std::uint32_t register_at(std::uint64_t offset) {
    switch (offset) {
      case 0x0:
        return 0x74726976;  // "virt"
      case 0x4:
        return 1;  // legacy
      case 0xc:
        return 0x554d4551;  // the vendor that the peer's transports name
      default:
        return 0;  // the device id too: nothing there
    }
  }
};

}  // namespace godwit::vm
