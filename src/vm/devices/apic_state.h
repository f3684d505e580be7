// A local APIC's registers, as the section carries them (x86-machine-state section 4.4).
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <godwit/device_section.h>
#include <godwit/field_table.h>

namespace godwit::vm {

/// As after power-on, but for what depends on the processor's number: see reset_apic().
struct ApicState {
  static constexpr std::uint64_t base_address = 0xfee00000;
  static constexpr std::uint32_t base_enabled = 1u << 11;
  static constexpr std::uint32_t base_x2apic = 1u << 10;
  static constexpr std::uint32_t base_first_processor = 1u << 8;
  static constexpr std::uint32_t lvt_masked = 1u << 16;
  static constexpr std::uint32_t lvt_periodic = 1u << 17;
  static constexpr std::int64_t not_armed = -1;

  enum Lvt : unsigned { timer, thermal, performance, lint0, lint1, error, lvt_count };
  using Bits = std::array<std::uint32_t, 8>;  ///< bit n of the vector n: word n / 32, bit n % 32

  std::uint32_t base = 0;  ///< the MSR: address and enable bits
  std::uint8_t id = 0;
  std::uint8_t arbitration_id = 0;
  std::uint8_t task_priority = 0;
  std::uint32_t spurious_vector = 0xff;
  std::uint8_t logical_destination = 0;   ///< LDR >> 24
  std::uint8_t destination_format = 0xf;  ///< DFR >> 28
  Bits in_service{}, level_triggered{}, requested{};
  std::array<std::uint32_t, lvt_count> lvt{lvt_masked, lvt_masked, lvt_masked,
                                           lvt_masked, lvt_masked, lvt_masked};
  std::uint32_t error_status = 0;
  std::array<std::uint32_t, 2> interrupt_command{};
  std::uint32_t divide_configuration = 0;
  std::int32_t count_shift = 1;  ///< follows from divide_configuration
  std::uint32_t initial_count = 0;
  std::int64_t initial_count_load_time = 0;  ///< ns of the virtual clock
  std::int64_t next_time = 0;                ///< ns of the virtual clock
  std::int64_t timer_expiry = not_armed;     ///< ns of the virtual clock

  // apic_sipi
  std::int32_t sipi_vector = 0;
  std::int32_t wait_for_sipi = 0;

  bool operator==(const ApicState&) const = default;
};

/// Number `index` after power-on: enabled; all but the first wait for SIPI.
ApicState reset_apic(unsigned index);

/// By how many bits the divide configuration slows the timer down: 0 to 7.
std::int32_t apic_count_shift(std::uint32_t divide_configuration);

/// The local APIC's timer counts nanoseconds (1 GHz). How long one period lasts.
std::int64_t apic_period_ns(const ApicState& state);

/// `state` outlives the section. Instance: the APIC id after power-on.
std::unique_ptr<DeviceSection> make_apic_section(ApicState& state, std::uint32_t instance,
                                                 SectionHooks hooks = {});

}  // namespace godwit::vm
