// The section `kvm-tpr-opt`, field by field.
#include "vm/devices/tpr_opt_state.h"

namespace godwit::vm {
namespace {

using State = TprOptState;

FieldTable<State::Handlers> handlers_table() {
  using Handlers = State::Handlers;
  return FieldTable<Handlers>("kvmvapic-handlers")
      .field("set_tpr", &Handlers::set_tpr)
      .field("set_tpr_eax", &Handlers::set_tpr_eax)
      .field("get_tpr", &Handlers::get_tpr)
      .field("get_tpr_stack", &Handlers::get_tpr_stack);
}

FieldTable<State::Rom> rom_table() {
  using Rom = State::Rom;
  return FieldTable<Rom>("kvmvapic-guest-rom")
      .unused(8)
      .field("vaddr", &Rom::vaddr)
      .field("fixup_start", &Rom::fixup_start)
      .field("fixup_end", &Rom::fixup_end)
      .field("vapic_vaddr", &Rom::vapic_vaddr)
      .field("vapic_size", &Rom::vapic_size)
      .field("vcpu_shift", &Rom::vcpu_shift)
      .field("real_tpr_addr", &Rom::real_tpr_addr)
      .structure("up", &Rom::one_processor, handlers_table())
      .structure("mp", &Rom::several_processors, handlers_table());
}

}  // namespace

std::unique_ptr<DeviceSection> make_tpr_opt_section(TprOptState& state) {
  static const auto table = FieldTable<State>("kvm-tpr-opt", {.version = 1})
                                .structure("rom_state", &State::rom, rom_table())
                                .field("state", &State::state, in_range(0, 0))
                                .field("real_tpr_addr", &State::real_tpr_addr)
                                .field("rom_state_vaddr", &State::rom_state_vaddr)
                                .field("vapic_paddr", &State::vapic_paddr)
                                .field("rom_state_paddr", &State::rom_state_paddr)
                                .pre_load([](State& loaded) { loaded = State(); });
  return make_section("kvm-tpr-opt", 0, table, state);
}

}  // namespace godwit::vm
