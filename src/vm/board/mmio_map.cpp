#include "vm/board/mmio_map.h"

namespace godwit::vm {

const MmioMap::Range* MmioMap::find(std::uint64_t guest_address, std::size_t length) const {
  for (const Range& range : ranges_)
    if (guest_address >= range.first && guest_address - range.first < range.size &&
        length <= range.size - (guest_address - range.first))
      return &range;
  return nullptr;
}

bool MmioMap::read(std::uint64_t guest_address, std::span<std::byte> into) const {
  const Range* range = find(guest_address, into.size());
  if (range) range->device->read(guest_address - range->first, into);
  return range != nullptr;
}

bool MmioMap::write(std::uint64_t guest_address, std::span<const std::byte> from) const {
  const Range* range = find(guest_address, from.size());
  if (range) range->device->write(guest_address - range->first, from);
  return range != nullptr;
}

}  // namespace godwit::vm
