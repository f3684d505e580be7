#include "vm/devices/rtc.h"

#include <atomic>
#include <condition_variable>
#include <gtest/gtest.h>

#include <godwit/stream.h>

namespace godwit::vm {
namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t start = 1'700'000'000 * second;  // 2023-11-14 22:13:20, a Tuesday

class RtcTest : public ::testing::Test {
 protected:
  std::uint8_t read(std::uint8_t index) {
    rtc_.write(0, index);
    return rtc_.read(1);
  }
  void write(std::uint8_t index, std::uint8_t value) {
    rtc_.write(0, index);
    rtc_.write(1, value);
  }
  Rtc make() {
    return Rtc([this] { return now_.load(); }, [this](bool level) { line_ = level; }, 3ull << 20);
  }

  std::atomic<std::int64_t> now_ = start;
  std::atomic<bool> line_ = false;
  Rtc rtc_{[this] { return now_.load(); }, [this](bool level) { line_ = level; }, 3ull << 20};
};

TEST_F(RtcTest, ShowsTheTimeInDecimalDigits) {
  EXPECT_EQ(read(0), 0x20);
  EXPECT_EQ(read(2), 0x13);
  EXPECT_EQ(read(4), 0x22);
  EXPECT_EQ(read(6), 3);
  EXPECT_EQ(read(7), 0x14);
  EXPECT_EQ(read(8), 0x11);
  EXPECT_EQ(read(9), 0x23);
  EXPECT_EQ(read(0x32), 0x20);
  now_ += 45 * second;
  EXPECT_EQ(read(0), 0x05);
  EXPECT_EQ(read(2), 0x14);
}

TEST_F(RtcTest, KnowsBinaryAndHalfDays) {
  write(0x0b, 0x04);
  EXPECT_EQ(read(4), 10 | 0x80);
  EXPECT_EQ(read(9), 23);
  write(0x0b, 0x06);
  EXPECT_EQ(read(4), 22);
}

TEST_F(RtcTest, IsSetWhileItStands) {
  write(0x0b, 0x82);
  write(0, 0x59);
  write(2, 0x59);
  write(4, 0x23);
  now_ += 100 * second;
  EXPECT_EQ(read(0), 0x59);
  write(0x0b, 0x02);
  now_ += 2 * second;
  EXPECT_EQ(read(0), 0x01);
  EXPECT_EQ(read(4), 0x00);
  EXPECT_EQ(read(7), 0x15) << "the day after";
}

TEST_F(RtcTest, SaysHowMuchMemoryThereIs) {
  EXPECT_EQ(read(0x15) | read(0x16) << 8, 640);
  EXPECT_EQ(read(0x17) | read(0x18) << 8, 2048);
  EXPECT_EQ(read(0x30) | read(0x31) << 8, 2048);
  EXPECT_EQ(read(0x34), 0);
}

TEST_F(RtcTest, FlagsShowOnceAndReadingTakesThemBack) {
  read(0x0c);
  EXPECT_EQ(read(0x0c), 0);
  now_ += second;
  EXPECT_EQ(read(0x0c) & 0x50, 0x50) << "update and periodic, without interrupts";
  EXPECT_EQ(read(0x0c), 0);
  EXPECT_FALSE(line_);
}

TEST_F(RtcTest, TheAlarmMatchesItsRegisters) {
  write(1, 0x30);
  write(3, 0xc0);  // any minute
  write(5, 0xff);
  read(0x0c);
  now_ += 9 * second;
  EXPECT_EQ(read(0x0c) & 0x20, 0);
  now_ += second;
  EXPECT_EQ(read(0x0c) & 0x20, 0x20);
}

TEST(RtcTimer, InterruptsByItself) {
  std::mutex mutex;
  std::condition_variable changed;
  int rises = 0;
  const auto wall = [] {
    return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
  };
  Rtc rtc(
      wall,
      [&](bool level) {
        const std::lock_guard lock(mutex);
        rises += level;
        changed.notify_all();
      },
      1 << 20);
  rtc.write(0, 0x0b);
  rtc.write(1, 0x42);  // 1024 Hz
  for (int wanted = 1; wanted <= 3; ++wanted) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, std::chrono::minutes(1), [&] { return rises >= wanted; }));
    lock.unlock();
    rtc.write(0, 0x0c);
    EXPECT_EQ(rtc.read(1) & 0xc0, 0xc0);
  }
}

TEST_F(RtcTest, MovesWithItsTimeAndItsInterrupt) {
  write(0x0b, 0x12);  // update interrupt
  now_ += second;
  EXPECT_TRUE(read(0x0b) & 0x10);
  read(0);  // brings the flags up to date
  EXPECT_TRUE(line_);
  Output out;
  std::string description;
  ASSERT_TRUE(rtc_.section()->save(out, description));
  EXPECT_EQ(out.size(), 245u);

  bool line = false;
  Rtc other([this] { return now_.load(); }, [&](bool level) { line = level; }, 3ull << 20);
  SpanInput in(out.data());
  ASSERT_TRUE(other.section()->load(in, 3));
  EXPECT_TRUE(line);
  other.write(0, 0);
  EXPECT_EQ(other.read(1), 0x21);
}

}  // namespace
}  // namespace godwit::vm
