// The mc146818 real-time clock's state, as the section carries it (x86-machine-state section 4.11).
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <godwit/device_section.h>
#include <godwit/field_table.h>

namespace godwit::vm {

struct RtcState {
  static constexpr std::int64_t not_armed = -1;
  static constexpr std::size_t cmos_bytes = 128;

  std::array<std::uint8_t, cmos_bytes> cmos{};
  std::uint8_t index = 0;                   ///< which byte of it the data port shows
  std::int64_t periodic_timer = not_armed;  ///< ns of the host-time clock
  std::int64_t next_periodic_time = 0;
  std::uint32_t coalesced_interrupts = 0;
  std::uint32_t period = 0;               ///< ticks of 32768 Hz
  std::uint64_t base_seconds = 0;         ///< the guest's time at last_update
  std::uint64_t last_update = 0;          ///< ns of the host-time clock
  std::int64_t offset = 0;                ///< ns
  std::int64_t update_timer = not_armed;  ///< ns of the host-time clock
  std::uint64_t next_alarm_time = 0;
  std::uint16_t reinject_on_acknowledge = 0;

  bool operator==(const RtcState&) const = default;
};

/// `state` outlives the section.
std::unique_ptr<DeviceSection> make_rtc_section(RtcState& state, SectionHooks hooks = {});

}  // namespace godwit::vm
