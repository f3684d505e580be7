// The section `apic`, field by field.
#include "vm/devices/apic_state.h"

namespace godwit::vm {
namespace {

FieldTable<ApicState> make_table() {
  using State = ApicState;
  using Table = FieldTable<State>;
  return Table("apic", {.version = 3})
      .field("apicbase", &State::base)
      .field("id", &State::id)
      .field("arb_id", &State::arbitration_id)
      .field("tpr", &State::task_priority)
      .field("spurious_vec", &State::spurious_vector)
      .field("log_dest", &State::logical_destination)
      .field("dest_mode", &State::destination_format, in_range(0, 15))
      .field("isr", &State::in_service)
      .field("tmr", &State::level_triggered)
      .field("irr", &State::requested)
      .field("lvt", &State::lvt)
      .field("esr", &State::error_status)
      .field("icr", &State::interrupt_command)
      .field("divide_conf", &State::divide_configuration, in_range(0, 15))
      .field("count_shift", &State::count_shift, in_range(0, 7))
      .field("initial_count", &State::initial_count)
      .field("initial_count_load_time", &State::initial_count_load_time)
      .field("next_time", &State::next_time)
      .field("timer_expiry", &State::timer_expiry,
             satisfying<std::int64_t>("-1 or a time", [](auto time) { return time >= ApicState::not_armed; }))
      .pre_load([](State& state) { state = State(); })
      .subsection(Table("apic_sipi")
                      .field("sipi_vector", &State::sipi_vector, in_range(0, 255))
                      .field("wait_for_sipi", &State::wait_for_sipi, in_range(0, 1)),
                  [](const State& state) { return state.wait_for_sipi != 0; });
}

}  // namespace

ApicState reset_apic(unsigned index) {
  ApicState state;
  state.base = ApicState::base_address | ApicState::base_enabled;
  if (index == 0) state.base |= ApicState::base_first_processor;
  state.id = static_cast<std::uint8_t>(index);
  state.wait_for_sipi = index != 0;
  return state;
}

std::int32_t apic_count_shift(std::uint32_t divide_configuration) {
  const std::uint32_t bits = (divide_configuration & 3) | (divide_configuration >> 1 & 4);
  return static_cast<std::int32_t>((bits + 1) & 7);
}

std::int64_t apic_period_ns(const ApicState& state) {
  return (std::int64_t{state.initial_count} + 1) << (state.count_shift & 7);
}

std::unique_ptr<DeviceSection> make_apic_section(ApicState& state, std::uint32_t instance,
                                                 SectionHooks hooks) {
  static const auto table = make_table();
  return make_section("apic", instance, table, state, std::move(hooks));
}

}  // namespace godwit::vm
