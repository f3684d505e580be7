#include "vm/devices/reset_ports.h"

#include <godwit/field_table.h>

namespace godwit::vm {
namespace {

constexpr std::uint8_t fast_reset = 1 << 0;
constexpr std::uint8_t reset_now = 1 << 2;

}  // namespace

std::uint8_t SystemControlPort::read(unsigned) {
  const std::lock_guard lock(mutex_);
  return state_.value;
}

void SystemControlPort::write(unsigned, std::uint8_t value) {
  bool rising = false;
  {
    const std::lock_guard lock(mutex_);
    rising = (value & ~state_.value & fast_reset) != 0;
    state_.value = value;
  }
  if (rising) request_reset_();
}

void SystemControlPort::reset() {
  const std::lock_guard lock(mutex_);
  state_.value = 0;
}

std::unique_ptr<DeviceSection> SystemControlPort::section() {
  static const auto table = FieldTable<State>("port92").field("outport", &State::value);
  return make_section("port92", 0, table, state_);
}

void ResetControlPort::write(unsigned, std::uint8_t value) {
  if (value & reset_now) request_reset_();
}

}  // namespace godwit::vm
