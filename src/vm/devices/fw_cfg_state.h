// Where the guest is in the firmware configuration device, as the section carries it (x86-machine-state
// section 4.8).
#pragma once

#include <cstdint>
#include <memory>

#include <godwit/device_section.h>
#include <godwit/field_table.h>

namespace godwit::vm {

struct FwCfgState {
  /// Sizes of the tables that a machine with ACPI offers.
  struct AcpiTables {
    std::uint64_t tables = 0, linker = 0, root = 0;  ///< bytes
    bool operator==(const AcpiTables&) const = default;
  };

  std::uint16_t selected = 0;
  std::uint32_t offset = 0;  ///< bytes; in the selected item
  std::uint64_t dma_address = 0;
  AcpiTables acpi{};  ///< all zero without ACPI

  bool operator==(const FwCfgState&) const = default;
};

/// `state` outlives the section.
std::unique_ptr<DeviceSection> make_fw_cfg_section(FwCfgState& state, SectionHooks hooks = {});

}  // namespace godwit::vm
