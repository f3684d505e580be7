// The section `ioapic`, field by field.
#include "vm/devices/ioapic_state.h"

namespace godwit::vm {

std::unique_ptr<DeviceSection> make_ioapic_section(IoapicState& state, std::uint32_t instance,
                                                   SectionHooks hooks) {
  using State = IoapicState;
  static const auto table = FieldTable<State>("ioapic", {.version = 3})
                                .field("id", &State::id, in_range(0, 15))
                                .field("ioregsel", &State::register_select)
                                .unused(8)
                                .field("irr", &State::requested, in_range(0, (1 << State::pin_count) - 1))
                                .field("ioredtbl", &State::redirection)
                                .pre_load([](State& loaded) { loaded = State(); });
  return make_section("ioapic", instance, table, state, std::move(hooks));
}

}  // namespace godwit::vm
