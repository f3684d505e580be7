// The section `fw_cfg`, field by field.
#include "vm/devices/fw_cfg_state.h"

namespace godwit::vm {

std::unique_ptr<DeviceSection> make_fw_cfg_section(FwCfgState& state, SectionHooks hooks) {
  using State = FwCfgState;
  using Table = FieldTable<State>;
  static const auto acpi = [](auto member) {
    return [member](State& saved) -> std::uint64_t& { return saved.acpi.*member; };
  };
  static const auto table =
      Table("fw_cfg", {.version = 2})
          .field("cur_entry", &State::selected)
          .field("cur_offset", &State::offset)
          .when([](const State&) { return false; })  // version 1 had it here, shorter
          .field("cur_offset", &State::offset)
          .pre_load([](State& loaded) { loaded = State(); })
          .subsection(Table("fw_cfg/dma", {.version = 0}).field("dma_addr", &State::dma_address),
                      [](const State&) { return true; })
          .subsection(Table("fw_cfg/acpi_mr")
                          .field("table_mr_size", acpi(&State::AcpiTables::tables))
                          .field("linker_mr_size", acpi(&State::AcpiTables::linker))
                          .field("rsdp_mr_size", acpi(&State::AcpiTables::root)),
                      [](const State& saved) { return saved.acpi != State::AcpiTables(); });
  return make_section("fw_cfg", 0, table, state, std::move(hooks));
}

}  // namespace godwit::vm
