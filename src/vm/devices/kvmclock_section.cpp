// The section `kvmclock`, field by field.
#include "vm/devices/kvmclock_state.h"

namespace godwit::vm {

std::unique_ptr<DeviceSection> make_kvmclock_section(KvmclockState& state, SectionHooks hooks) {
  using State = KvmclockState;
  using Table = FieldTable<State>;
  static const auto table =
      Table("kvmclock", {.version = 1})
          .field("clock", &State::clock_ns)
          .pre_load([](State& loaded) { loaded = {.clock_ns = 0, .reliable = false}; })
          .subsection(Table("kvmclock/clock_is_reliable").field("clock_is_reliable", &State::reliable),
                      [](const State& saved) { return saved.reliable; });
  return make_section("kvmclock", 0, table, state, std::move(hooks));
}

}  // namespace godwit::vm
