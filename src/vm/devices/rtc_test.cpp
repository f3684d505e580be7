#include "vm/devices/rtc.h"

#include <gtest/gtest.h>

#include <godwit/stream.h>

#include "vm/devices/rtc_time.h"
#include "vm/testing/virtual_time.h"

namespace godwit::vm {
namespace {

using namespace rtc_register;

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t noon = 1795694400;  // 2026-11-26 12:00:00, a Thursday

class RtcTest : public ::testing::Test {
 protected:
  RtcTest() {
    time_.host_offset_ns = noon * second - time_.virtual_ns;
    rtc_.reset();
  }
  std::uint8_t get(std::uint8_t index) {
    rtc_.write(0, index);
    return rtc_.read(1);
  }
  void set(std::uint8_t index, unsigned value) {
    rtc_.write(0, index);
    rtc_.write(1, static_cast<std::uint8_t>(value));
  }

  testing::VirtualTime time_;
  bool level_ = false;
  Rtc rtc_{time_.timers, [this](bool level) { level_ = level; }, std::uint64_t{3} << 20};
};

TEST_F(RtcTest, ShowsTheTimeInDecimalDigits) {
  time_.advance(3723 * second);
  EXPECT_EQ(get(seconds), 0x03);
  EXPECT_EQ(get(minutes), 0x02);
  EXPECT_EQ(get(hours), 0x13);
  EXPECT_EQ(get(weekday), 5);
  EXPECT_EQ(get(day), 0x26);
  EXPECT_EQ(get(month), 0x11);
  EXPECT_EQ(get(year), 0x26);
  EXPECT_EQ(get(century), 0x20);
  EXPECT_EQ(get(d), 0x80);
}

TEST_F(RtcTest, ShowsItInBinaryAndTwelveHours) {
  set(b, rtc_b_bit::binary);
  time_.advance(3600 * second);
  EXPECT_EQ(get(hours), 0x81);
  EXPECT_EQ(get(year), 26);
  set(b, 0);
  EXPECT_EQ(get(hours), 0x81);
  time_.advance(11 * 3600 * second);
  EXPECT_EQ(get(hours), 0x12);
  EXPECT_EQ(get(day), 0x27);
}

TEST_F(RtcTest, GoesOnFromWhatWasSet) {
  set(b, rtc_b_bit::set | rtc_b_bit::hours_24);
  set(hours, 0x23);
  set(minutes, 0x59);
  set(seconds, 0x58);
  time_.advance(10 * second);
  EXPECT_EQ(get(seconds), 0x58);  // stands still
  set(b, rtc_b_bit::hours_24);
  time_.advance(3 * second);
  EXPECT_EQ(get(hours), 0x00);
  EXPECT_EQ(get(minutes), 0x00);
  EXPECT_EQ(get(seconds), 0x01);
  EXPECT_EQ(get(day), 0x27);
  set(minutes, 0x30);  // while it runs
  time_.advance(second);
  EXPECT_EQ(get(minutes), 0x30);
  EXPECT_EQ(get(seconds), 0x02);
}

TEST_F(RtcTest, WarnsBeforeTheSecondChanges) {
  EXPECT_EQ(get(a), 0x26);
  time_.advance(second - 100'000);
  EXPECT_EQ(get(a), 0xa6);
  time_.advance(100'000);
  EXPECT_EQ(get(a), 0x26);
}

TEST_F(RtcTest, InterruptsEverySecond) {
  set(b, rtc_b_bit::update | rtc_b_bit::hours_24);
  get(c);
  time_.advance(second - 1);
  EXPECT_FALSE(level_);
  time_.advance(1);
  EXPECT_TRUE(level_);
  EXPECT_EQ(get(c) & 0xb0, 0x90);
  EXPECT_FALSE(level_);
  EXPECT_EQ(get(c), 0x00);
  time_.advance(second);
  EXPECT_TRUE(level_);
}

TEST_F(RtcTest, AlarmComesAtItsTime) {
  set(hours_alarm, 0x14);
  set(minutes_alarm, 0x30);
  set(seconds_alarm, 0x15);
  set(b, rtc_b_bit::alarm | rtc_b_bit::hours_24);
  get(c);
  time_.advance(second);  // the update flag alone is no interrupt
  EXPECT_FALSE(level_);
  time_.advance((2 * 3600 + 30 * 60 + 13) * second);
  EXPECT_FALSE(level_);
  time_.advance(second);
  EXPECT_TRUE(level_);
  EXPECT_EQ(get(c) & 0xa0, 0xa0);
}

TEST_F(RtcTest, AlarmOfEveryMinute) {
  set(hours_alarm, 0xff);
  set(minutes_alarm, 0xc0);
  set(seconds_alarm, 0x30);
  set(b, rtc_b_bit::alarm | rtc_b_bit::hours_24);
  for (int i = 0; i < 3; ++i) {
    get(c);
    time_.advance(second);
    get(c);
    time_.advance(28 * second);
    EXPECT_EQ(get(c) & 0x20, 0) << i;
    time_.advance(second);
    time_.advance(0);
    EXPECT_EQ(get(c) & 0x20, 0x20) << i;
    time_.advance(30 * second);
  }
}

TEST_F(RtcTest, PeriodicInterruptHasItsRate) {
  set(a, 0x26);  // 1024 Hz
  set(b, rtc_b_bit::periodic | rtc_b_bit::hours_24);
  int count = 0;
  for (int i = 0; i < 10'000; ++i) {
    time_.advance(100'000);
    if (!level_) continue;
    ++count;
    EXPECT_EQ(get(c) & 0xc0, 0xc0);
  }
  EXPECT_NEAR(count, 1024, 2);
  EXPECT_EQ(rtc_.state().period, 32u);
  set(b, rtc_b_bit::hours_24);
  EXPECT_EQ(rtc_.state().periodic_timer, RtcState::not_armed);
}

TEST_F(RtcTest, NextAlarmIsWhereThePeerHasIt) {
  // As in the sample tcg-pic-pit-rtc: at 07:20:12 the alarm of midnight is 59988 seconds ahead.
  set(b, rtc_b_bit::set | rtc_b_bit::hours_24);
  set(hours, 0x07);
  set(minutes, 0x20);
  set(seconds, 0x12);
  set(b, rtc_b_bit::hours_24);
  time_.advance(0);
  const auto host = static_cast<std::uint64_t>(time_.now_ns(GuestTime::Base::host));
  EXPECT_EQ(rtc_.state().next_alarm_time - host, 59988u * second);
}

TEST_F(RtcTest, SaysHowMuchMemoryThereIs) {
  EXPECT_EQ(get(0x15) | get(0x16) << 8, 640);
  EXPECT_EQ(get(0x17) | get(0x18) << 8, 2048);
  EXPECT_EQ(get(0x30) | get(0x31) << 8, 2048);
  EXPECT_EQ(get(0x34), 0);
}

TEST_F(RtcTest, FlagsShowWithoutInterruptsAndReadingTakesThemBack) {
  get(c);
  EXPECT_EQ(get(c), 0);
  time_.advance(second);
  EXPECT_EQ(get(c) & 0xd0, 0x50);
  EXPECT_EQ(get(c), 0);
  EXPECT_FALSE(level_);
}

TEST_F(RtcTest, MovesWithItsTimeAndItsInterrupt) {
  set(b, rtc_b_bit::update | rtc_b_bit::hours_24);
  time_.advance(second);
  ASSERT_TRUE(level_);
  Output out;
  std::string description;
  ASSERT_TRUE(rtc_.section()->save(out, description));
  EXPECT_EQ(out.size(), 245u);

  bool line = false;
  Rtc other(time_.timers, [&](bool level) { line = level; }, std::uint64_t{3} << 20);
  SpanInput in(out.data());
  ASSERT_TRUE(other.section()->load(in, 3));
  EXPECT_TRUE(line);
  other.write(0, seconds);
  EXPECT_EQ(other.read(1), 0x01);
}

TEST_F(RtcTest, SurvivesTimesOutOfTheWorld) {
  for (const std::uint64_t odd : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    RtcState& state = rtc_.state();
    state.base_seconds = state.last_update = state.next_alarm_time = odd;
    state.offset = static_cast<std::int64_t>(odd);
    for (std::uint8_t& byte : state.cmos) byte = 0xff;
    state.cmos[a] = 0x26;
    state.cmos[b] = rtc_b_bit::update;
    rtc_.after_load();
    time_.advance(2 * second);
    get(seconds);
    get(c);
    set(month, 0xff);
    set(b, rtc_b_bit::set);
    set(b, 0);
  }
}

}  // namespace
}  // namespace godwit::vm
