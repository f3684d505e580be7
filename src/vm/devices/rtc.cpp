#include "vm/devices/rtc.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>

#include "base/thread.h"

namespace godwit::vm {
namespace {

enum Register : std::uint8_t {
  seconds = 0,
  seconds_alarm,
  minutes,
  minutes_alarm,
  hours,
  hours_alarm,
  weekday,
  day,
  month,
  year,
  control_a,
  control_b,
  control_c,
  control_d,
  century = 0x32
};

namespace a {
constexpr std::uint8_t updating = 0x80, divider = 0x70, divider_runs = 0x20, rate = 0x0f;
}
namespace b {
constexpr std::uint8_t set = 0x80, periodic = 0x40, alarm = 0x20, update = 0x10, square_wave = 0x08,
                       binary = 0x04, whole_day = 0x02;
constexpr std::uint8_t any_interrupt = periodic | alarm | update;
}  // namespace b
namespace c {
constexpr std::uint8_t interrupt = 0x80;  // the others are as in b
}
constexpr std::uint8_t has_power = 0x80;
constexpr std::uint8_t any_value = 0xc0;  // of an alarm register
constexpr std::uint8_t afternoon = 0x80;  // of the hours of a half-day clock

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t update_ns = 244'000;  // before the second ends
constexpr std::int64_t ticks_per_second = 32768;
constexpr std::int64_t day_seconds = 86400;

bool is_time(std::uint8_t index) {
  return index <= year ? index != seconds_alarm && index != minutes_alarm && index != hours_alarm
                       : index == century;
}

std::uint32_t period_ticks(std::uint8_t control) {
  unsigned rate = control & a::rate;
  if (rate == 0) return 0;
  if (rate <= 2) rate += 7;
  return 1u << (rate - 1);
}

std::int64_t period_ns(std::uint32_t ticks) {
  return std::int64_t{ticks} * second_ns / ticks_per_second;
}

}  // namespace

Rtc::Rtc(std::function<std::int64_t()> wall_ns, std::function<void(bool)> interrupt, std::uint64_t ram_size)
    : wall_ns_(std::move(wall_ns)), interrupt_(std::move(interrupt)), ram_size_(ram_size) {
  reset();
}

void Rtc::reset() {
  const std::lock_guard lock(mutex_);
  state_ = {};
  auto& cmos = state_.cmos;
  cmos[control_a] = 0x26;
  cmos[control_b] = b::whole_day;
  cmos[control_d] = has_power;
  // How much memory there is (x86-machine-state section 4.11).
  const auto put = [&cmos](std::size_t at, std::uint64_t value, std::size_t bytes = 2) {
    for (std::size_t i = 0; i < bytes; ++i) cmos[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
  };
  constexpr std::uint64_t kib = 1024, mib = kib * kib, gib = kib * mib;
  const std::uint64_t low = std::min(ram_size_, 3 * gib);
  const std::uint64_t extended = std::min(low > mib ? (low - mib) / kib : 0, std::uint64_t{0xffff});
  put(0x15, std::min(low / kib, std::uint64_t{640}));
  put(0x17, extended);
  put(0x30, extended);
  put(0x34, std::min(low > 16 * mib ? (low - 16 * mib) / (64 * kib) : 0, std::uint64_t{0xffff}));
  put(0x5b, (ram_size_ - low) / (64 * kib), 3);

  const std::int64_t now = wall_ns_();
  state_.base_seconds = static_cast<std::uint64_t>(now / second_ns);
  state_.last_update = static_cast<std::uint64_t>(now);
  state_.offset = now % second_ns;
  last_second_ = now / second_ns;
  show_time(now);
  plan_alarm(now);
  update_interrupt();
}

std::uint8_t Rtc::read(unsigned offset) {
  if (offset == 0) return 0xff;
  const std::lock_guard lock(mutex_);
  return read_register();
}

void Rtc::write(unsigned offset, std::uint8_t value) {
  const std::lock_guard lock(mutex_);
  if (offset == 0) {
    state_.index = value & 0x7f;
  } else {
    write_register(value);
  }
}

std::uint8_t Rtc::read_register() {
  const std::int64_t now = wall_ns_();
  advance(now);
  if (is_time(state_.index)) show_time(now);
  std::uint8_t value = state_.cmos[state_.index];
  if (state_.index == control_a) {
    value &= static_cast<std::uint8_t>(~a::updating);
    if (runs() && second_ns - guest_ns(now) % second_ns <= update_ns) value |= a::updating;
  } else if (state_.index == control_c) {
    state_.cmos[control_c] = 0;
    update_interrupt();
    wake_timer();
  }
  return value;
}

void Rtc::write_register(std::uint8_t value) {
  const std::int64_t now = wall_ns_();
  advance(now);
  const bool ran = runs();
  const std::int64_t fraction = guest_ns(now) % second_ns;
  switch (state_.index) {
    case control_a: {
      show_time(now);
      state_.cmos[control_a] = value & static_cast<std::uint8_t>(~a::updating);
      // A divider that starts makes its first update after half a second.
      if (!ran && runs()) take_time(now, second_ns / 2);
      restart_periods(now);
      break;
    }
    case control_b:
      write_control_b(value);
      break;
    case control_c:
    case control_d:
      return;  // cannot be written
    default:
      if (is_time(state_.index)) show_time(now);
      state_.cmos[state_.index] = value;
      if (ran && is_time(state_.index)) take_time(now, fraction);
  }
  plan_alarm(now);
  wake_timer();
}

void Rtc::write_control_b(std::uint8_t value) {
  const std::int64_t now = wall_ns_();
  const bool ran = runs();
  const std::int64_t fraction = guest_ns(now) % second_ns;
  show_time(now);
  if (value & b::set) value &= static_cast<std::uint8_t>(~b::update);
  const bool periodic_changes = ((state_.cmos[control_b] ^ value) & b::periodic) != 0;
  state_.cmos[control_b] = value;
  if (!ran && runs()) take_time(now, fraction);
  if (ran && runs()) show_time(now);  // the format may have changed
  if (periodic_changes) restart_periods(now);
  update_interrupt();
}

// ---- time

bool Rtc::runs() const {
  return !(state_.cmos[control_b] & b::set) && (state_.cmos[control_a] & a::divider) <= a::divider_runs;
}

std::int64_t Rtc::guest_ns(std::int64_t now) const {
  return static_cast<std::int64_t>(state_.base_seconds) * second_ns +
         (now - static_cast<std::int64_t>(state_.last_update)) + state_.offset;
}

std::uint8_t Rtc::encode(unsigned value) const {
  return static_cast<std::uint8_t>(state_.cmos[control_b] & b::binary ? value : value / 10 << 4 | value % 10);
}

unsigned Rtc::decode(std::uint8_t value) const {
  return state_.cmos[control_b] & b::binary ? value : (value >> 4) * 10u + (value & 0xfu);
}

/// While it is stopped, the registers keep what they have.
void Rtc::show_time(std::int64_t now) {
  if (!runs()) return;
  const std::time_t time = guest_ns(now) / second_ns;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  const auto put = [this](Register at, int value) { state_.cmos[at] = encode(static_cast<unsigned>(value)); };
  put(seconds, parts.tm_sec);
  put(minutes, parts.tm_min);
  if (state_.cmos[control_b] & b::whole_day) {
    put(hours, parts.tm_hour);
  } else {
    put(hours, parts.tm_hour % 12 == 0 ? 12 : parts.tm_hour % 12);
    if (parts.tm_hour >= 12) state_.cmos[hours] |= afternoon;
  }
  put(weekday, parts.tm_wday + 1);
  put(day, parts.tm_mday);
  put(month, parts.tm_mon + 1);
  put(year, parts.tm_year % 100);
  put(century, (parts.tm_year + 1900) / 100);
}

/// The time is what the registers say, and `fraction_ns`.
void Rtc::take_time(std::int64_t now, std::int64_t fraction_ns) {
  const auto get = [this](Register at) { return static_cast<int>(decode(state_.cmos[at])); };
  std::tm parts{};
  parts.tm_sec = get(seconds);
  parts.tm_min = get(minutes);
  if (state_.cmos[control_b] & b::whole_day) {
    parts.tm_hour = get(hours);
  } else {
    const std::uint8_t shown = state_.cmos[hours];
    parts.tm_hour = static_cast<int>(decode(shown & static_cast<std::uint8_t>(~afternoon)) % 12);
    if (shown & afternoon) parts.tm_hour += 12;
  }
  parts.tm_mday = get(day);
  parts.tm_mon = get(month) - 1;
  parts.tm_year = get(century) * 100 + get(year) - 1900;
  state_.base_seconds = static_cast<std::uint64_t>(::timegm(&parts));
  state_.last_update = static_cast<std::uint64_t>(now);
  state_.offset = fraction_ns;
  last_second_ = static_cast<std::int64_t>(state_.base_seconds);
}

// ---- events

/// Sets the flags of what has happened until now.
void Rtc::advance(std::int64_t now) {
  auto& flags = state_.cmos[control_c];
  state_.period = period_ticks(state_.cmos[control_a]);
  if (state_.period != 0 && state_.next_periodic_time <= now) {
    flags |= b::periodic;
    const std::int64_t period = period_ns(state_.period);
    state_.next_periodic_time += ((now - state_.next_periodic_time) / period + 1) * period;
  }
  if (runs()) {
    const std::int64_t second = guest_ns(now) / second_ns;
    if (second != std::exchange(last_second_, second)) flags |= b::update;
    if (static_cast<std::int64_t>(state_.next_alarm_time) <= now) {
      flags |= b::alarm;
      plan_alarm(now);
    }
  }
  update_interrupt();
}

void Rtc::restart_periods(std::int64_t now) {
  state_.period = period_ticks(state_.cmos[control_a]);
  state_.next_periodic_time = state_.period == 0 ? 0 : now + period_ns(state_.period);
}

void Rtc::plan_alarm(std::int64_t now) {
  const std::int64_t present = guest_ns(now) / second_ns;
  const auto matches = [this](Register at, std::int64_t value) {
    const std::uint8_t wanted = state_.cmos[at];
    if ((wanted & any_value) == any_value) return true;
    if (at != hours_alarm || (state_.cmos[control_b] & b::whole_day))
      return decode(wanted) == static_cast<unsigned>(value);
    const unsigned hour = decode(wanted & static_cast<std::uint8_t>(~afternoon)) % 12;
    return hour + (wanted & afternoon ? 12 : 0) == static_cast<unsigned>(value);
  };
  std::int64_t second = present + 1;
  for (; second < present + day_seconds; ++second) {
    const std::int64_t in_day = second % day_seconds;
    if (matches(seconds_alarm, in_day % 60) && matches(minutes_alarm, in_day / 60 % 60) &&
        matches(hours_alarm, in_day / 3600))
      break;
  }
  state_.next_alarm_time = static_cast<std::uint64_t>(now + second * second_ns - guest_ns(now));
}

std::int64_t Rtc::next_second(std::int64_t now) const {
  return now + second_ns - guest_ns(now) % second_ns;
}

std::optional<std::int64_t> Rtc::next_event(std::int64_t now) const {
  std::optional<std::int64_t> next;
  // One that was not acknowledged yet needs no other.
  const auto waiting = static_cast<std::uint8_t>(state_.cmos[control_b] & ~state_.cmos[control_c]);
  const auto consider = [&next](std::int64_t time) { next = std::min(next.value_or(time), time); };
  if ((waiting & b::periodic) && state_.period != 0) consider(state_.next_periodic_time);
  if ((waiting & b::update) && runs()) consider(next_second(now));
  if ((waiting & b::alarm) && runs()) consider(static_cast<std::int64_t>(state_.next_alarm_time));
  return next;
}

void Rtc::update_interrupt() {
  auto& flags = state_.cmos[control_c];
  const bool level = (flags & state_.cmos[control_b] & b::any_interrupt) != 0;
  flags = static_cast<std::uint8_t>(level ? flags | c::interrupt : flags & ~c::interrupt);
  if (level != std::exchange(interrupt_level_, level) && interrupt_) interrupt_(level);
}

/// With mutex_ held, after something changed that events depend on.
void Rtc::wake_timer() {
  if (!timer_.joinable() && (state_.cmos[control_b] & b::any_interrupt))
    timer_ = start_thread("rtc", [this](const std::stop_token& stop) { loop(stop); });
  replanned_.notify_all();
}

void Rtc::loop(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const std::int64_t now = wall_ns_();
    advance(now);
    const auto next = next_event(now);
    // Any notification makes a new plan; a false one costs nothing.
    bool replanned = false;
    const auto changed = [&replanned] { return std::exchange(replanned, true); };
    if (next) {
      replanned_.wait_for(lock, stop, std::chrono::nanoseconds(std::max<std::int64_t>(*next - now, 1)),
                          changed);
    } else {
      replanned_.wait(lock, stop, changed);
    }
  }
}

// ---- section

std::unique_ptr<DeviceSection> Rtc::section() {
  const auto before_save = [this]() -> Result<> {
    const std::lock_guard lock(mutex_);
    const std::int64_t now = wall_ns_();
    advance(now);
    show_time(now);
    const std::uint8_t enabled = state_.cmos[control_b];
    state_.periodic_timer = (enabled & (b::periodic | b::square_wave)) && state_.period != 0
                                ? state_.next_periodic_time
                                : RtcState::not_armed;
    state_.update_timer = !runs()               ? RtcState::not_armed
                          : enabled & b::update ? next_second(now)
                                                : static_cast<std::int64_t>(state_.next_alarm_time);
    return {};
  };
  const auto after_load = [this]() -> Result<> {
    const std::lock_guard lock(mutex_);
    const std::int64_t now = wall_ns_();
    last_second_ = guest_ns(now) / second_ns;
    state_.period = period_ticks(state_.cmos[control_a]);
    if (state_.period != 0 && state_.next_periodic_time == 0) restart_periods(now);
    update_interrupt();
    wake_timer();
    return {};
  };
  return make_rtc_section(state_, {.before_save = before_save, .after_load = after_load});
}

}  // namespace godwit::vm
