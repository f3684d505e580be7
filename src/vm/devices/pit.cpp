#include "vm/devices/pit.h"

#include <utility>

namespace godwit::vm {
namespace {

constexpr unsigned control_port = 3;

/// PitChannel::rw_mode, the same in read_state, write_state and count_latched.
enum Access : std::uint8_t { none, low_byte, high_byte, low_of_word, high_of_word };
constexpr std::uint8_t word_mode = 3;

std::uint8_t low(unsigned value) {
  return static_cast<std::uint8_t>(value);
}
std::uint8_t high(unsigned value) {
  return static_cast<std::uint8_t>(value >> 8);
}

}  // namespace

Pit::Pit(GuestTimers& timers, std::function<void(bool)> interrupt)
    : timers_(timers),
      interrupt_(std::move(interrupt)),
      timer_(timers.add(GuestTime::Base::virtual_clock, [this] {
        const std::lock_guard lock(mutex_);
        on_transition();
      })) {}

/// One change of the output after the other, each as it was at its time: a pulse can be over when its timer
/// is looked at.
void Pit::on_transition() {
  constexpr std::int64_t too_late_ns = 100'000'000;
  PitChannel& channel = state_.channels[0];
  const std::int64_t transition = channel.next_transition_time;
  if (transition == PitChannel::no_transition || now() < transition) return;
  if (state_.interrupt_disabled || now() - transition > too_late_ns) return update();
  // Times are rounded down: the change is just behind.
  interrupt_(pit_output(channel, transition + 1));
  channel.next_transition_time = pit_next_transition(channel, transition + 1);
  timer_.arm(channel.next_transition_time);
}

/// Brings the interrupt line and the timer up to date.
void Pit::update() {
  PitChannel& channel = state_.channels[0];
  const std::int64_t time = now();
  if (!state_.interrupt_disabled) interrupt_(pit_output(channel, time));
  channel.next_transition_time =
      state_.interrupt_disabled ? PitChannel::no_transition : pit_next_transition(channel, time);
  timer_.arm(channel.next_transition_time);
}

std::uint16_t Pit::current_count(const PitChannel& channel) const {
  const std::int64_t elapsed = now() - channel.count_load_time;
  const auto ticks = elapsed <= 0 ? 0
                                  : static_cast<std::uint64_t>(static_cast<unsigned __int128>(elapsed) *
                                                               PitState::frequency_hz / 1'000'000'000);
  const auto count = static_cast<std::uint64_t>(channel.count);
  switch (channel.mode) {
    case 2:
    case 6:
      return static_cast<std::uint16_t>(count - ticks % count);
    case 3:
    case 7:  // by two, and twice
      return static_cast<std::uint16_t>(count - 2 * ticks % count);
    default:
      return static_cast<std::uint16_t>(count - ticks);
  }
}

void Pit::latch_count(PitChannel& channel) const {
  if (channel.count_latched) return;
  channel.latched_count = current_count(channel);
  channel.count_latched = channel.rw_mode == word_mode ? std::uint8_t{low_of_word} : channel.rw_mode;
}

void Pit::read_back(std::uint8_t command) {
  for (unsigned i = 0; i < state_.channels.size(); ++i) {
    if (!(command & 2u << i)) continue;
    PitChannel& channel = state_.channels[i];
    if (!(command & 0x20)) latch_count(channel);
    if (!(command & 0x10) && !channel.status_latched) {
      const unsigned output = pit_output(channel, now()) ? 0x80 : 0;
      channel.status = low(output | channel.rw_mode << 4u | channel.mode << 1u | channel.bcd);
      channel.status_latched = 1;
    }
  }
}

void Pit::write_control(std::uint8_t value) {
  const unsigned number = value >> 6;
  if (number == 3) return read_back(value);
  PitChannel& channel = state_.channels[number];
  const std::uint8_t access = value >> 4 & 3;
  if (access == 0) return latch_count(channel);
  channel.rw_mode = access;
  channel.read_state = channel.write_state = access == word_mode ? std::uint8_t{low_of_word} : access;
  channel.mode = value >> 1 & 7;
  channel.bcd = value & 1;
  if (number == 0) update();
}

void Pit::load(PitChannel& channel, unsigned value) {
  channel.count = value == 0 ? 0x10000 : static_cast<std::int32_t>(value);
  channel.count_load_time = now();
  if (&channel == &state_.channels[0]) update();
}

void Pit::write_channel(PitChannel& channel, std::uint8_t value) {
  switch (channel.write_state) {
    case low_byte:
      return load(channel, value);
    case high_byte:
      return load(channel, static_cast<unsigned>(value) << 8);
    case low_of_word:
      channel.write_latch = value;
      channel.write_state = high_of_word;
      return;
    case high_of_word:
      channel.write_state = low_of_word;
      return load(channel, channel.write_latch | static_cast<unsigned>(value) << 8);
    default:
      return;  // not programmed yet
  }
}

std::uint8_t Pit::read_channel(PitChannel& channel) {
  if (std::exchange(channel.status_latched, std::uint8_t{0})) return channel.status;
  if (channel.count_latched) {
    const std::uint8_t part = channel.count_latched;
    channel.count_latched = part == low_of_word ? std::uint8_t{high_byte} : std::uint8_t{none};
    return part == high_byte ? high(channel.latched_count) : low(channel.latched_count);
  }
  const std::uint16_t count = current_count(channel);
  switch (channel.read_state) {
    case high_byte:
      return high(count);
    case low_of_word:
      channel.read_state = high_of_word;
      return low(count);
    case high_of_word:
      channel.read_state = low_of_word;
      return high(count);
    default:
      return low(count);
  }
}

std::uint8_t Pit::read(unsigned offset) {
  const std::lock_guard lock(mutex_);
  return offset == control_port ? std::uint8_t{0} : read_channel(state_.channels[offset]);
}

void Pit::write(unsigned offset, std::uint8_t value) {
  const std::lock_guard lock(mutex_);
  if (offset == control_port) {
    write_control(value);
  } else {
    write_channel(state_.channels[offset], value);
  }
}

void Pit::reset() {
  const std::lock_guard lock(mutex_);
  state_ = PitState();
  for (PitChannel& channel : state_.channels) channel.count_load_time = now();
  update();
}

void Pit::after_load() {
  const std::lock_guard lock(mutex_);
  const std::int64_t time = now();
  for (PitChannel& channel : state_.channels)
    if (channel.count_load_time < 0 || channel.count_load_time > time) channel.count_load_time = time;
  update();
}

}  // namespace godwit::vm
