#include "vm/devices/rtc.h"

#include <algorithm>
#include <utility>

#include "vm/devices/rtc_time.h"

namespace godwit::vm {
namespace {

using namespace rtc_register;

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t update_ns = 244'000;  ///< how long before a new second registers must not be read
constexpr std::int64_t tick_hz = 32768;
constexpr std::int64_t day_seconds = 86400;

namespace a_bit {
constexpr std::uint8_t in_progress = 0x80, divider = 0x70, rate = 0x0f, divider_runs = 0x20;
}  // namespace a_bit

namespace c_bit {
constexpr std::uint8_t request = 0x80, periodic = 0x40, alarm = 0x20, update = 0x10;
}  // namespace c_bit

constexpr std::uint8_t battery_good = 0x80;
constexpr std::uint8_t any_alarm = 0xc0;

std::int64_t floor_to(std::int64_t value, std::int64_t unit) {
  const std::int64_t rest = value % unit;
  return value - (rest < 0 ? rest + unit : rest);
}

bool is_time_register(std::uint8_t index) {
  return index == century ||
         (index <= year && index != seconds_alarm && index != minutes_alarm && index != hours_alarm);
}

bool is_alarm_register(std::uint8_t index) {
  return index == seconds_alarm || index == minutes_alarm || index == hours_alarm;
}

}  // namespace

Rtc::Rtc(GuestTimers& timers, std::function<void(bool)> interrupt, std::uint64_t ram_size)
    : timers_(timers),
      interrupt_(std::move(interrupt)),
      periodic_timer_(timers.add(GuestTime::Base::host,
                                 [this] {
                                   const std::lock_guard lock(mutex_);
                                   on_periodic();
                                 })),
      update_timer_(timers.add(GuestTime::Base::host, [this] {
        const std::lock_guard lock(mutex_);
        on_update();
      })) {
  fill_memory_sizes(ram_size);
  reset();
}

/// As in x86-machine-state section 4.11.
void Rtc::fill_memory_sizes(std::uint64_t ram_size) {
  constexpr std::uint64_t kib = 1024, mib = 1024 * kib, low_end = 3 * 1024 * mib, most = 0xffff;
  const auto put = [this](std::size_t at, std::uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) state_.cmos[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
  };
  const std::uint64_t low = std::min(ram_size, low_end);
  const std::uint64_t extended = low > mib ? std::min((low - mib) / kib, most) : 0;
  put(0x15, std::min(low / kib, std::uint64_t{640}), 2);
  put(0x17, extended, 2);
  put(0x30, extended, 2);
  put(0x34, low > 16 * mib ? std::min((low - 16 * mib) / (64 * kib), most) : 0, 2);
  put(0x5b, (ram_size - low) / (64 * kib), 3);
}

std::int64_t Rtc::guest_now() const {
  // In unsigned numbers: what was loaded may be anything.
  const std::uint64_t elapsed = static_cast<std::uint64_t>(host_now()) - state_.last_update;
  return static_cast<std::int64_t>(state_.base_seconds * std::uint64_t{second_ns} + elapsed +
                                   static_cast<std::uint64_t>(state_.offset));
}

bool Rtc::is_set_mode() const {
  return (state_.cmos[b] & rtc_b_bit::set) != 0;
}

bool Rtc::runs() const {
  return (state_.cmos[a] & a_bit::divider) == a_bit::divider_runs && !is_set_mode();
}

bool Rtc::update_in_progress() const {
  const std::int64_t now = guest_now();
  return runs() && now - floor_to(now, second_ns) >= second_ns - update_ns;
}

void Rtc::show_time() {
  if (runs()) rtc_write_time(state_.cmos, floor_to(guest_now(), second_ns) / second_ns);
}

/// The clock goes on from what the registers say.
void Rtc::take_time(std::int64_t fraction_ns) {
  state_.offset = fraction_ns;
  state_.base_seconds = static_cast<std::uint64_t>(rtc_read_time(state_.cmos));
  state_.last_update = static_cast<std::uint64_t>(host_now());
}

// ---- registers

std::uint8_t Rtc::read(unsigned offset) {
  const std::lock_guard lock(mutex_);
  return offset == 0 ? std::uint8_t{0xff} : read_register(state_.index);
}

void Rtc::write(unsigned offset, std::uint8_t value) {
  const std::lock_guard lock(mutex_);
  if (offset == 0) {
    state_.index = value & 0x7f;
  } else {
    write_register(state_.index, value);
  }
}

std::uint8_t Rtc::read_register(std::uint8_t index) {
  if (is_time_register(index)) show_time();
  if (index == a)
    return static_cast<std::uint8_t>(state_.cmos[a] | (update_in_progress() ? a_bit::in_progress : 0));
  if (index == c) return read_flags();
  return state_.cmos[index];
}

std::uint8_t Rtc::read_flags() {
  std::uint8_t flags = std::exchange(state_.cmos[c], std::uint8_t{0});
  // Without its interrupt the periodic flag has no timer: it is found out here.
  const std::int64_t before = std::exchange(flags_read_, host_now());
  const std::int64_t period = period_ticks() * second_ns / tick_hz;
  if (period != 0 && floor_to(flags_read_, period) > before) flags |= c_bit::periodic;
  interrupt_(false);
  schedule_update();
  return flags;
}

void Rtc::write_register(std::uint8_t index, std::uint8_t value) {
  if (is_time_register(index)) {
    const std::int64_t fraction = guest_now() - floor_to(guest_now(), second_ns);
    show_time();
    state_.cmos[index] = value;
    if (runs()) {
      take_time(fraction);
      schedule_update();
    }
    return;
  }
  switch (index) {
    case a:
      return write_divider(value);
    case b:
      return write_modes(value);
    case c:
    case d:
      return;  // read-only
    default:
      state_.cmos[index] = value;
      if (is_alarm_register(index)) schedule_update();
  }
}

void Rtc::write_divider(std::uint8_t value) {
  const bool ran = runs();
  show_time();
  state_.cmos[a] = value & static_cast<std::uint8_t>(~a_bit::in_progress);
  // Its first second is half as long: so says the data sheet.
  if (runs() && !ran) take_time(second_ns / 2);
  schedule_periodic();
  schedule_update();
}

void Rtc::write_modes(std::uint8_t value) {
  const bool ran = runs();
  const std::int64_t fraction = guest_now() - floor_to(guest_now(), second_ns);
  show_time();
  if (value & rtc_b_bit::set) value &= static_cast<std::uint8_t>(~rtc_b_bit::update);
  state_.cmos[b] = value;
  if (runs() && !ran) take_time(fraction);
  show_time();  // the digits may be other ones now
  raise(0);     // what was pending may be enabled now
  schedule_periodic();
  schedule_update();
}

/// The flags are named like the bits of register B that enable them.
void Rtc::raise(std::uint8_t flags) {
  std::uint8_t& pending = state_.cmos[c];
  pending |= flags;
  constexpr std::uint8_t sources = c_bit::periodic | c_bit::alarm | c_bit::update;
  const bool request = (pending & state_.cmos[b] & sources) != 0;
  if (request) pending |= c_bit::request;
  interrupt_((pending & c_bit::request) != 0);
}

// ---- timers

/// 0: none.
std::uint32_t Rtc::period_ticks() const {
  const unsigned rate = state_.cmos[a] & a_bit::rate;
  if (rate == 0 || (state_.cmos[a] & a_bit::divider) != a_bit::divider_runs) return 0;
  return 1u << (rate <= 2 ? rate + 6 : rate - 1);
}

void Rtc::schedule_periodic() {
  const std::uint32_t wanted = state_.cmos[b] & rtc_b_bit::periodic ? period_ticks() : 0;
  if (wanted == 0) {
    state_.period = 0;
    state_.periodic_timer = RtcState::not_armed;
  } else {
    state_.period = wanted;
    const std::int64_t ticks =
        static_cast<std::int64_t>(static_cast<__int128>(host_now()) * tick_hz / second_ns);
    const std::int64_t next = floor_to(ticks, state_.period) + state_.period;
    state_.next_periodic_time =
        static_cast<std::int64_t>(static_cast<__int128>(next) * second_ns / tick_hz) + 1;
    state_.periodic_timer = state_.next_periodic_time;
  }
  periodic_timer_.arm(state_.periodic_timer);
}

void Rtc::on_periodic() {
  if (state_.periodic_timer == RtcState::not_armed || host_now() < state_.periodic_timer) return;
  raise(c_bit::periodic);
  schedule_periodic();
}

std::int64_t Rtc::seconds_to_alarm(std::int64_t guest_seconds) const {
  const auto matches = [this](std::uint8_t index, std::int64_t value) {
    const std::uint8_t alarm = state_.cmos[index];
    return (alarm & any_alarm) == any_alarm ||
           rtc_decode(state_.cmos, alarm, index == hours_alarm) == static_cast<std::uint64_t>(value);
  };
  std::int64_t distance = 1;
  while (distance <= day_seconds) {
    const std::int64_t of_day = floor_to(guest_seconds + distance, 1) % day_seconds;
    const std::int64_t positive = of_day < 0 ? of_day + day_seconds : of_day;
    if (!matches(hours_alarm, positive / 3600)) {
      distance += 3600 - positive % 3600;
    } else if (!matches(minutes_alarm, positive / 60 % 60)) {
      distance += 60 - positive % 60;
    } else if (!matches(seconds_alarm, positive % 60)) {
      ++distance;
    } else {
      return distance;
    }
  }
  return day_seconds;  // an alarm that never comes: look again in a day
}

/// The timer is armed only for what would change a flag: the next second, or when that one is set, the alarm.
void Rtc::schedule_update() {
  const std::uint8_t flags = state_.cmos[c];
  state_.update_timer = RtcState::not_armed;
  if (runs()) {
    const std::int64_t guest = guest_now();
    const std::int64_t host = host_now();
    const std::int64_t second = floor_to(guest, second_ns);
    const std::int64_t distance = seconds_to_alarm(second / second_ns);
    state_.next_alarm_time = static_cast<std::uint64_t>(host + (second - guest) + distance * second_ns);
    if (!(flags & c_bit::update)) {
      state_.update_timer = host + second_ns - (guest - second);
    } else if (!(flags & c_bit::alarm)) {
      state_.update_timer = static_cast<std::int64_t>(state_.next_alarm_time);
    }
  }
  update_timer_.arm(state_.update_timer);
}

void Rtc::on_update() {
  const std::int64_t host = host_now();
  if (state_.update_timer == RtcState::not_armed || host < state_.update_timer) return;
  const bool alarm = static_cast<std::uint64_t>(host) >= state_.next_alarm_time;
  raise(alarm ? c_bit::update | c_bit::alarm : c_bit::update);
  schedule_update();
}

// ---- as a whole

void Rtc::reset() {
  const std::lock_guard lock(mutex_);
  constexpr std::uint8_t usual_rate = 6;
  state_.index = 0;
  state_.cmos[a] = a_bit::divider_runs | usual_rate;
  state_.cmos[b] = rtc_b_bit::hours_24;
  state_.cmos[c] = 0;
  state_.cmos[d] = battery_good;
  const std::int64_t host = host_now();
  state_.base_seconds = static_cast<std::uint64_t>(host / second_ns);
  state_.last_update = static_cast<std::uint64_t>(host);
  state_.offset = host % second_ns;
  flags_read_ = host;
  show_time();
  interrupt_(false);
  schedule_periodic();
  schedule_update();
}

std::unique_ptr<DeviceSection> Rtc::section() {
  return make_rtc_section(state_, {.before_save = [this]() -> Result<> {
                                     const std::lock_guard lock(mutex_);
                                     show_time();
                                     return {};
                                   },
                                   .after_load = [this]() -> Result<> {
                                     after_load();
                                     return {};
                                   }});
}

void Rtc::after_load() {
  const std::lock_guard lock(mutex_);
  // The line follows the flags; the timers were armed by somebody with the same clock.
  interrupt_((state_.cmos[c] & c_bit::request) != 0);
  periodic_timer_.arm(state_.periodic_timer);
  if (state_.update_timer == RtcState::not_armed && runs()) return schedule_update();
  update_timer_.arm(state_.update_timer);
}

}  // namespace godwit::vm
