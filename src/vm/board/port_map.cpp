#include "vm/board/port_map.h"

namespace godwit::vm {

const PortMap::Range* PortMap::find(unsigned port) const {
  for (const Range& range : ranges_)
    if (port >= range.first && port - range.first < range.count) return &range;
  return nullptr;
}

std::uint32_t PortMap::read(std::uint16_t port, unsigned size) const {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < size; ++i) {
    const Range* range = find(port + i);
    const std::uint8_t byte = range ? range->device->read(port + i - range->first) : 0xff;
    value |= static_cast<std::uint32_t>(byte) << (8 * i);
  }
  return value;
}

void PortMap::write(std::uint16_t port, unsigned size, std::uint32_t value) const {
  for (unsigned i = 0; i < size; ++i)
    if (const Range* range = find(port + i))
      range->device->write(port + i - range->first, static_cast<std::uint8_t>(value >> (8 * i)));
}

}  // namespace godwit::vm
