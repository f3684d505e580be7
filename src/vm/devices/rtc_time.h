// The clock's registers as times: binary or decimal digits, 12 or 24 hours.
#pragma once

#include <array>
#include <cstdint>

namespace godwit::vm {

namespace rtc_register {
enum : std::uint8_t {
  seconds,
  seconds_alarm,
  minutes,
  minutes_alarm,
  hours,
  hours_alarm,
  weekday,
  day,
  month,
  year,
  a,
  b,
  c,
  d,
  century = 0x32
};
}  // namespace rtc_register

namespace rtc_b_bit {
inline constexpr std::uint8_t set = 0x80, periodic = 0x40, alarm = 0x20, update = 0x10, binary = 0x04,
                              hours_24 = 0x02;
}  // namespace rtc_b_bit

using RtcMemory = std::array<std::uint8_t, 128>;

/// Seconds since 1970, from the time registers; fields out of their range count as far as they go.
std::int64_t rtc_read_time(const RtcMemory& memory);
void rtc_write_time(RtcMemory& memory, std::int64_t seconds);

/// One register's number, 0 to 255. `hour`: it holds an hour.
unsigned rtc_decode(const RtcMemory& memory, std::uint8_t value, bool hour);

}  // namespace godwit::vm
