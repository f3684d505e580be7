// The section `i8254`, field by field, and when a channel's output changes.
#include "vm/devices/pit_state.h"

namespace godwit::vm {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

std::int64_t ticks_to_ns(std::uint64_t ticks) {
  return static_cast<std::int64_t>(static_cast<unsigned __int128>(ticks) * second_ns /
                                   PitState::frequency_hz);
}

std::uint64_t ticks_since_load(const PitChannel& channel, std::int64_t now) {
  if (now <= channel.count_load_time) return 0;
  const auto elapsed = static_cast<std::uint64_t>(now) - static_cast<std::uint64_t>(channel.count_load_time);
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(elapsed) * PitState::frequency_hz /
                                    second_ns);
}

FieldTable<PitChannel> channel_table() {
  using State = PitChannel;
  static const auto flag = in_range(0, 1);
  static const auto access_state = in_range(0, 4);
  return FieldTable<State>("pit channel", {.version = 2})
      .field("count", &State::count, in_range(1, 65536))
      .field("latched_count", &State::latched_count)
      .field("count_latched", &State::count_latched, access_state)
      .field("status_latched", &State::status_latched, flag)
      .field("status", &State::status)
      .field("read_state", &State::read_state, access_state)
      .field("write_state", &State::write_state, access_state)
      .field("write_latch", &State::write_latch)
      .field("rw_mode", &State::rw_mode, in_range(0, 3))
      .field("mode", &State::mode, in_range(0, 7))
      .field("bcd", &State::bcd, flag)
      .field("gate", &State::gate, flag)
      .field("count_load_time", &State::count_load_time)
      .field("next_transition_time", &State::next_transition_time);
}

}  // namespace

bool pit_output(const PitChannel& channel, std::int64_t now) {
  const std::uint64_t ticks = ticks_since_load(channel, now);
  const auto count = static_cast<std::uint64_t>(channel.count);
  switch (channel.mode) {
    case 0:
      return ticks >= count;
    case 1:
      return ticks < count;
    case 2:
    case 6:
      return ticks % count == 0 && ticks != 0;
    case 3:
    case 7:
      return ticks % count < (count + 1) / 2;
    default:  // software and hardware triggered strobe
      return ticks == count;
  }
}

std::int64_t pit_next_transition(const PitChannel& channel, std::int64_t now) {
  const std::uint64_t ticks = ticks_since_load(channel, now);
  const auto count = static_cast<std::uint64_t>(channel.count);
  const std::uint64_t period_start = ticks / count * count;
  std::uint64_t next = 0;
  switch (channel.mode) {
    case 0:
    case 1:
      if (ticks >= count) return PitChannel::no_transition;
      next = count;
      break;
    case 2:
    case 6:
      next = ticks == period_start && ticks != 0 ? period_start + 1 : period_start + count;
      break;
    case 3:
    case 7: {
      const std::uint64_t half = (count + 1) / 2;
      next = ticks - period_start < half ? period_start + half : period_start + count;
      break;
    }
    default:
      if (ticks > count) return PitChannel::no_transition;
      next = ticks < count ? count : count + 1;
  }
  const std::int64_t time = channel.count_load_time + ticks_to_ns(next);
  // Rounding must not give the present again.
  return time <= now ? now + 1 : time;
}

std::unique_ptr<DeviceSection> make_pit_section(PitState& state, SectionHooks hooks) {
  using State = PitState;
  static const auto table =
      FieldTable<State>("i8254", {.version = 3})
          .field("channels[0].irq_disabled", &State::interrupt_disabled, in_range(0, 1))
          .structure("channels", &State::channels, channel_table())
          .field("channels[0].next_transition_time",
                 [](State& pit) -> std::int64_t& { return pit.channels[0].next_transition_time; })
          .pre_load([](State& loaded) { loaded = State(); });
  return make_section("i8254", 0, table, state, std::move(hooks));
}

}  // namespace godwit::vm
