#include "vm/devices/ioapic.h"

namespace godwit::vm {
namespace {

constexpr unsigned select_offset = 0x00, window_offset = 0x10, end_of_interrupt_offset = 0x40;
constexpr std::uint32_t id_register = 0, version_register = 1, arbitration_register = 2, first_entry = 0x10;
constexpr std::uint32_t version = 0x20 | (IoapicState::pin_count - 1) << 16;

namespace entry_bit {
constexpr std::uint64_t logical = 1u << 11;
constexpr std::uint64_t delivery_status = 1u << 12;
constexpr std::uint64_t remote_irr = 1u << 14;
constexpr std::uint64_t level = 1u << 15;
constexpr std::uint64_t read_only = delivery_status | remote_irr;
}  // namespace entry_bit

}  // namespace

void Ioapic::set_line(unsigned pin, bool high) {
  if (pin >= IoapicState::pin_count) return;
  const std::uint32_t bit = 1u << pin;
  const bool rises = high && !(lines_ & bit);
  lines_ = high ? lines_ | bit : lines_ & ~bit;
  const std::uint64_t entry = state_.redirection[pin];
  if (entry & entry_bit::level) {
    state_.requested = high ? state_.requested | bit : state_.requested & ~bit;
  } else if (rises && !(entry & IoapicState::masked)) {
    // An edge on a masked pin is lost: so says the 82093AA's data sheet.
    state_.requested |= bit;
  }
  service();
}

void Ioapic::service() {
  for (unsigned pin = 0; pin < IoapicState::pin_count; ++pin) {
    const std::uint32_t bit = 1u << pin;
    std::uint64_t& entry = state_.redirection[pin];
    if (!(state_.requested & bit) || (entry & IoapicState::masked)) continue;
    const bool level = (entry & entry_bit::level) != 0;
    if (level && (entry & entry_bit::remote_irr)) continue;
    if (level) {
      entry |= entry_bit::remote_irr;
    } else {
      state_.requested &= ~bit;
    }
    InterruptMessage message;
    message.vector = static_cast<std::uint8_t>(entry);
    message.mode = delivery_mode(entry);
    message.destination = static_cast<std::uint8_t>(entry >> 56);
    message.logical = (entry & entry_bit::logical) != 0;
    message.level_triggered = level;
    if (message.mode == DeliveryMode::external) {
      message.vector = acknowledge_external_();
      message.mode = DeliveryMode::fixed;
    }
    send_(message);
  }
}

void Ioapic::end_of_interrupt(std::uint8_t vector) {
  for (std::uint64_t& entry : state_.redirection)
    if ((entry & entry_bit::level) && static_cast<std::uint8_t>(entry) == vector)
      entry &= ~entry_bit::remote_irr;
  service();
}

std::uint32_t Ioapic::read(unsigned offset) const {
  if (offset == select_offset) return state_.register_select;
  return offset == window_offset ? read_register() : 0;
}

void Ioapic::write(unsigned offset, std::uint32_t value) {
  if (offset == select_offset) state_.register_select = static_cast<std::uint8_t>(value);
  if (offset == window_offset) write_register(value);
  if (offset == end_of_interrupt_offset) end_of_interrupt(static_cast<std::uint8_t>(value));
}

std::uint32_t Ioapic::read_register() const {
  const std::uint32_t select = state_.register_select;
  if (select == id_register || select == arbitration_register) return std::uint32_t{state_.id} << 24;
  if (select == version_register) return version;
  const std::uint32_t half = select - first_entry;
  if (select < first_entry || half / 2 >= IoapicState::pin_count) return 0;
  return static_cast<std::uint32_t>(state_.redirection[half / 2] >> (half % 2 * 32));
}

void Ioapic::write_register(std::uint32_t value) {
  const std::uint32_t select = state_.register_select;
  if (select == id_register) state_.id = value >> 24 & 0xf;
  const std::uint32_t half = select - first_entry;
  if (select < first_entry || half / 2 >= IoapicState::pin_count) return;
  const unsigned pin = half / 2;
  std::uint64_t& entry = state_.redirection[pin];
  if (half % 2) {
    entry = (entry & 0xffffffff) | std::uint64_t{value & 0xff000000} << 32;
  } else {
    const std::uint64_t kept = entry & (entry_bit::read_only | 0xffffffff00000000);
    entry = kept | (value & 0x1ffff & ~entry_bit::read_only);
    if (!(entry & entry_bit::level)) {
      entry &= ~entry_bit::remote_irr;
    } else {
      const std::uint32_t bit = 1u << pin;
      state_.requested = (state_.requested & ~bit) | (lines_ & bit);
    }
  }
  service();
}

void Ioapic::reset() {
  state_ = IoapicState();
  lines_ = 0;
}

void Ioapic::after_load() {
  // The lines' levels do not travel. Those of level-triggered pins are in `requested`; devices raise theirs
  // again when they are loaded.
  lines_ = state_.requested;
  service();
}

}  // namespace godwit::vm
