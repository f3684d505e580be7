// The section `mc146818rtc`, field by field.
#include "vm/devices/rtc_state.h"

namespace godwit::vm {

std::unique_ptr<DeviceSection> make_rtc_section(RtcState& state, SectionHooks hooks) {
  using State = RtcState;
  using Table = FieldTable<State>;
  // Wide enough for the next ninety years, and too narrow for sums of them to overflow.
  constexpr auto latest = std::int64_t{1} << 62;
  static const auto time_range = in_range(0, latest);
  static const auto table =
      Table("mc146818rtc", {.version = 3})
          .buffer("cmos_data", &State::cmos)
          .field("cmos_index", &State::index, in_range(0, State::cmos_bytes - 1))
          .unused(28)
          .timer("periodic_timer", &State::periodic_timer)
          .field("next_periodic_time", &State::next_periodic_time, time_range)
          .unused(24)
          .field("irq_coalesced", &State::coalesced_interrupts)
          .field("period", &State::period, in_range(0, 1 << 15))
          .field("base_rtc", &State::base_seconds, in_range(0, 0xffffffff))
          .field("last_update", &State::last_update, time_range)
          .field("offset", &State::offset, in_range(-(latest / 4), latest / 4))
          .timer("update_timer", &State::update_timer)
          .field("next_alarm_time", &State::next_alarm_time, time_range)
          .pre_load([](State& loaded) { loaded = State(); })
          .subsection(Table("mc146818rtc/irq_reinject_on_ack_count")
                          .field("irq_reinject_on_ack_count", &State::reinject_on_acknowledge),
                      [](const State& saved) { return saved.reinject_on_acknowledge != 0; });
  return make_section("mc146818rtc", 0, table, state, std::move(hooks));
}

}  // namespace godwit::vm
