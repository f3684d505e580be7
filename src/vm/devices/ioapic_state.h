// The I/O APIC's registers, as the section carries them (x86-machine-state section 4.5).
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <godwit/device_section.h>
#include <godwit/field_table.h>

namespace godwit::vm {

struct IoapicState {
  static constexpr std::uint64_t base_address = 0xfec00000;
  static constexpr unsigned pin_count = 24;
  static constexpr std::uint64_t masked = 1u << 16;

  std::uint8_t id = 0;
  std::uint8_t register_select = 0;
  std::uint32_t requested = 0;  ///< one bit per pin
  std::array<std::uint64_t, pin_count> redirection;

  IoapicState() { redirection.fill(masked); }
  bool operator==(const IoapicState&) const = default;
};

/// `state` outlives the section.
std::unique_ptr<DeviceSection> make_ioapic_section(IoapicState& state, std::uint32_t instance = 0,
                                                   SectionHooks hooks = {});

}  // namespace godwit::vm
