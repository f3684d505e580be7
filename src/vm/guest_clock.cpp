#include "vm/guest_clock.h"

#include <utility>

#include <godwit/field_table.h>

namespace godwit::vm {

void GuestClock::start() {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(running_, true)) started_ = host_.now();
}

void GuestClock::stop() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(running_, false)) value_ += host_.now() - started_;
}

Nanoseconds GuestClock::now() const {
  const std::lock_guard lock(mutex_);
  return running_ ? value_ + (host_.now() - started_) : value_;
}

std::unique_ptr<DeviceSection> GuestClock::section(std::function<Result<std::int64_t>()> ticks,
                                                   std::function<void(std::int64_t)> take_ticks) {
  static const auto table = FieldTable<State>("timer", {.version = 2, .minimum_version = 2})
                                .field("cpu_ticks_offset", &State::ticks)
                                .unused(8)
                                .field("cpu_clock_offset", &State::clock_ns);
  const auto before_save = [this, ticks = std::move(ticks)]() -> Result<> {
    state_.clock_ns = now().count();
    state_.ticks = 0;
    if (!ticks) return {};
    GODWIT_ASSIGN(state_.ticks, ticks());
    return {};
  };
  const auto after_load = [this, take_ticks = std::move(take_ticks)]() -> Result<> {
    {
      const std::lock_guard lock(mutex_);
      value_ = Nanoseconds(state_.clock_ns);
      started_ = host_.now();
    }
    if (take_ticks) take_ticks(state_.ticks);
    return {};
  };
  return make_section("timer", 0, table, state_, {.before_save = before_save, .after_load = after_load});
}

}  // namespace godwit::vm
