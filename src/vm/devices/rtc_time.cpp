#include "vm/devices/rtc_time.h"

#include <chrono>

namespace godwit::vm {
namespace {

using namespace rtc_register;

constexpr std::uint8_t afternoon = 0x80;

bool has(const RtcMemory& memory, std::uint8_t bit) {
  return (memory[b] & bit) != 0;
}

std::uint8_t encode(const RtcMemory& memory, unsigned value) {
  return static_cast<std::uint8_t>(has(memory, rtc_b_bit::binary) ? value : value / 10 << 4 | value % 10);
}

unsigned digits(const RtcMemory& memory, std::uint8_t value) {
  return has(memory, rtc_b_bit::binary) ? value : (value >> 4) * 10u + (value & 0xf);
}

std::uint8_t encode_hour(const RtcMemory& memory, unsigned hour) {
  if (has(memory, rtc_b_bit::hours_24)) return encode(memory, hour);
  const std::uint8_t value = encode(memory, hour % 12 == 0 ? 12 : hour % 12);
  return hour < 12 ? value : static_cast<std::uint8_t>(value | afternoon);
}

}  // namespace

unsigned rtc_decode(const RtcMemory& memory, std::uint8_t value, bool hour) {
  if (!hour || has(memory, rtc_b_bit::hours_24)) return digits(memory, value);
  const unsigned morning = digits(memory, value & 0x7f) % 12;
  return value & afternoon ? morning + 12 : morning;
}

std::int64_t rtc_read_time(const RtcMemory& memory) {
  using namespace std::chrono;
  const int full_year =
      static_cast<int>(digits(memory, memory[century]) * 100 + digits(memory, memory[year]));
  const std::chrono::year_month_day first{std::chrono::year(full_year), January, std::chrono::day(1)};
  // By addition, so that a 31st of February is a day in March.
  const auto months_on = std::chrono::year_month(first.year(), first.month()) +
                         std::chrono::months(static_cast<int>(digits(memory, memory[month])) - 1);
  const auto days_on = sys_days(months_on / std::chrono::day(1)) +
                       std::chrono::days(static_cast<int>(digits(memory, memory[rtc_register::day])) - 1);
  const auto whole = days_on.time_since_epoch() +
                     std::chrono::hours(rtc_decode(memory, memory[rtc_register::hours], true)) +
                     std::chrono::minutes(digits(memory, memory[rtc_register::minutes])) +
                     std::chrono::seconds(digits(memory, memory[rtc_register::seconds]));
  return duration_cast<std::chrono::seconds>(whole).count();
}

void rtc_write_time(RtcMemory& memory, std::int64_t since_1970) {
  using namespace std::chrono;
  const sys_seconds time{std::chrono::seconds(since_1970)};
  const auto date = floor<std::chrono::days>(time);
  const year_month_day calendar{date};
  const hh_mm_ss clock{time - date};
  const auto full_year = static_cast<unsigned>(static_cast<int>(calendar.year()));
  memory[rtc_register::seconds] = encode(memory, static_cast<unsigned>(clock.seconds().count()));
  memory[rtc_register::minutes] = encode(memory, static_cast<unsigned>(clock.minutes().count()));
  memory[rtc_register::hours] = encode_hour(memory, static_cast<unsigned>(clock.hours().count()));
  memory[rtc_register::weekday] = encode(memory, std::chrono::weekday(date).c_encoding() + 1);
  memory[rtc_register::day] = encode(memory, static_cast<unsigned>(calendar.day()));
  memory[rtc_register::month] = encode(memory, static_cast<unsigned>(calendar.month()));
  memory[rtc_register::year] = encode(memory, full_year % 100);
  memory[rtc_register::century] = encode(memory, full_year / 100 % 100);
}

}  // namespace godwit::vm
