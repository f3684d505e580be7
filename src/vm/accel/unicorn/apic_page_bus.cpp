#include "vm/accel/unicorn/apic_page_bus.h"

#include <algorithm>
#include <cstring>

namespace godwit::vm {
namespace {

constexpr std::uint64_t register_stride = 16;

std::uint64_t place_in_register(std::uint64_t guest_address) {
  return guest_address % register_stride;
}

unsigned register_at(std::uint64_t guest_address) {
  return static_cast<unsigned>(guest_address - place_in_register(guest_address) -
                               VcpuInterrupts::page_address);
}

}  // namespace

void ApicPageBus::read_memory(std::uint64_t guest_address, std::span<std::byte> into) {
  if (!is_apic(guest_address)) return outside_.read_memory(guest_address, into);
  const std::uint32_t value = interrupts_->read_register(register_at(guest_address));
  // Between two registers there is nothing.
  const std::uint64_t place = place_in_register(guest_address);
  const auto bytes = std::as_bytes(std::span(&value, 1));
  for (std::size_t i = 0; i < into.size(); ++i)
    into[i] = place + i < bytes.size() ? bytes[place + i] : std::byte{0};
}

void ApicPageBus::write_memory(std::uint64_t guest_address, std::span<const std::byte> from) {
  if (!is_apic(guest_address)) return outside_.write_memory(guest_address, from);
  // Registers are written as a whole.
  if (place_in_register(guest_address) != 0) return;
  std::uint32_t value = 0;
  std::memcpy(&value, from.data(), std::min(from.size(), sizeof value));
  interrupts_->write_register(register_at(guest_address), value);
}

}  // namespace godwit::vm
