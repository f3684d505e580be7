// The i8254 timer's registers, as the section carries them (x86-machine-state section 4.10).
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <godwit/device_section.h>
#include <godwit/field_table.h>

namespace godwit::vm {

struct PitChannel {
  static constexpr std::int64_t no_transition = -1;

  std::int32_t count = 65536;
  std::uint16_t latched_count = 0;
  std::uint8_t count_latched = 0;  ///< which bytes of it are still to be read
  std::uint8_t status_latched = 0;
  std::uint8_t status = 0;
  std::uint8_t read_state = 0;
  std::uint8_t write_state = 0;
  std::uint8_t write_latch = 0;
  std::uint8_t rw_mode = 0;
  std::uint8_t mode = 3;
  std::uint8_t bcd = 0;
  std::uint8_t gate = 0;
  std::int64_t count_load_time = 0;                   ///< ns of the virtual clock
  std::int64_t next_transition_time = no_transition;  ///< of the output; ns of the virtual clock

  bool operator==(const PitChannel&) const = default;
};

/// Channels 0 and 1 run after power-on, 2 waits for its gate.
struct PitState {
  static constexpr std::int64_t frequency_hz = 1193182;

  std::uint32_t interrupt_disabled = 0;  ///< channel 0
  std::array<PitChannel, 3> channels{};

  PitState() { channels[0].gate = channels[1].gate = 1; }
  bool operator==(const PitState&) const = default;
};

/// When channel `channel`'s output changes for the first time after `now`; PitChannel::no_transition if it
/// does not. Both in ns of the virtual clock.
std::int64_t pit_next_transition(const PitChannel& channel, std::int64_t now);

/// The level of a channel's output at `now`.
bool pit_output(const PitChannel& channel, std::int64_t now);

/// `state` outlives the section.
std::unique_ptr<DeviceSection> make_pit_section(PitState& state, SectionHooks hooks = {});

}  // namespace godwit::vm
