// What an option ROM for 32-bit guests would have patched (x86-machine-state section 4.3). There is no such
// ROM here: the section is there because the peer has it, and always zero.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <godwit/device_section.h>
#include <godwit/field_table.h>

namespace godwit::vm {

struct TprOptState {
  struct Handlers {
    std::uint32_t set_tpr = 0, set_tpr_eax = 0;
    std::array<std::uint32_t, 8> get_tpr{};
    std::uint32_t get_tpr_stack = 0;
    bool operator==(const Handlers&) const = default;
  };
  struct Rom {
    std::uint32_t vaddr = 0, fixup_start = 0, fixup_end = 0, vapic_vaddr = 0, vapic_size = 0, vcpu_shift = 0,
                  real_tpr_addr = 0;
    Handlers one_processor, several_processors;
    bool operator==(const Rom&) const = default;
  };

  Rom rom;
  std::uint32_t state = 0;  ///< 0: not in use
  std::uint32_t real_tpr_addr = 0, rom_state_vaddr = 0, vapic_paddr = 0, rom_state_paddr = 0;

  bool operator==(const TprOptState&) const = default;
};

/// `state` outlives the section. A state that is in use is refused.
std::unique_ptr<DeviceSection> make_tpr_opt_section(TprOptState& state);

}  // namespace godwit::vm
