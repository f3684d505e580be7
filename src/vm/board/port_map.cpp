#include "vm/board/port_map.h"

namespace godwit::vm {

std::uint32_t PortDevice::read_wide(unsigned offset, unsigned size) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < size; ++i) value |= static_cast<std::uint32_t>(read(offset + i)) << (8 * i);
  return value;
}

void PortDevice::write_wide(unsigned offset, unsigned size, std::uint32_t value) {
  for (unsigned i = 0; i < size; ++i) write(offset + i, static_cast<std::uint8_t>(value >> (8 * i)));
}

const PortMap::Range* PortMap::find(unsigned port) const {
  for (const Range& range : ranges_)
    if (port >= range.first && port - range.first < range.count) return &range;
  return nullptr;
}

std::uint32_t PortMap::read(std::uint16_t port, unsigned size) const {
  if (const Range* whole = find(port); size > 1 && whole && port - whole->first + size <= whole->count)
    return whole->device->read_wide(port - whole->first, size);
  std::uint32_t value = 0;
  for (unsigned i = 0; i < size; ++i) {
    const Range* range = find(port + i);
    const std::uint8_t byte = range ? range->device->read(port + i - range->first) : 0xff;
    value |= static_cast<std::uint32_t>(byte) << (8 * i);
  }
  return value;
}

void PortMap::write(std::uint16_t port, unsigned size, std::uint32_t value) const {
  if (const Range* whole = find(port); size > 1 && whole && port - whole->first + size <= whole->count)
    return whole->device->write_wide(port - whole->first, size, value);
  for (unsigned i = 0; i < size; ++i)
    if (const Range* range = find(port + i))
      range->device->write(port + i - range->first, static_cast<std::uint8_t>(value >> (8 * i)));
}

}  // namespace godwit::vm
