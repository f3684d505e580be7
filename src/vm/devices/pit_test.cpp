#include "vm/devices/pit.h"

#include <gtest/gtest.h>

#include "vm/testing/virtual_time.h"

namespace godwit::vm {
namespace {

constexpr unsigned control = 3;
constexpr std::int64_t tick_ns = 838;  // about

class PitTest : public ::testing::Test {
 protected:
  PitTest() { pit_.reset(); }
  void program(unsigned channel, unsigned mode, unsigned count) {
    pit_.write(control, static_cast<std::uint8_t>(channel << 6 | 0x30 | mode << 1));
    pit_.write(channel, static_cast<std::uint8_t>(count));
    pit_.write(channel, static_cast<std::uint8_t>(count >> 8));
  }
  unsigned read_word(unsigned channel) {
    const unsigned low = pit_.read(channel);
    return low | static_cast<unsigned>(pit_.read(channel)) << 8;
  }
  /// Rising edges of the interrupt line while time passes.
  int edges(std::int64_t ns) {
    const int before = edges_;
    for (std::int64_t end = time_.virtual_ns + ns; time_.virtual_ns < end;)
      time_.advance(std::min<std::int64_t>(end - time_.virtual_ns, 100'000));
    return edges_ - before;
  }

  testing::VirtualTime time_;
  bool level_ = false;
  int edges_ = 0;
  Pit pit_{time_.timers, [this](bool level) {
             if (level && !level_) ++edges_;
             level_ = level;
           }};
};

TEST_F(PitTest, SquareWaveHasItsFrequency) {
  program(0, 3, 11932);  // 100 Hz
  EXPECT_TRUE(level_);
  EXPECT_NEAR(edges(1'000'000'000), 100, 1);
}

TEST_F(PitTest, RateGeneratorHasItsFrequency) {
  program(0, 2, 1193);
  EXPECT_NEAR(edges(100'000'000), 100, 1);
}

TEST_F(PitTest, TerminalCountComesOnce) {
  program(0, 0, 1193);
  EXPECT_FALSE(level_);
  EXPECT_EQ(edges(10'000'000), 1);
  EXPECT_TRUE(level_);
  EXPECT_EQ(edges(10'000'000), 0);
}

TEST_F(PitTest, CountsDown) {
  program(2, 0, 1000);
  time_.advance(100 * tick_ns + tick_ns / 2);
  EXPECT_NEAR(read_word(2), 900, 1);
  program(1, 2, 1000);
  time_.advance(1100 * tick_ns + tick_ns / 2);
  EXPECT_NEAR(read_word(1), 900, 2);
}

TEST_F(PitTest, LatchHoldsACount) {
  program(2, 0, 60000);
  time_.advance(1000 * tick_ns);
  pit_.write(control, 0x80);
  time_.advance(1000 * tick_ns);
  pit_.write(control, 0x80);  // the first one is not read yet
  EXPECT_NEAR(read_word(2), 59000, 2);
  EXPECT_NEAR(read_word(2), 58000, 2);
}

TEST_F(PitTest, ReadBackLatchesStatusAndCount) {
  program(2, 3, 1000);
  pit_.write(control, 0xc8);      // both, of channel 2
  EXPECT_EQ(pit_.read(2), 0xb6);  // output high, word access, mode 3
  EXPECT_EQ(read_word(2), 1000u);
  pit_.write(control, 0xe8);  // status only
  EXPECT_EQ(pit_.read(2) & 0x7f, 0x36);
}

TEST_F(PitTest, SingleBytesAreCountsToo) {
  pit_.write(control, 0x90);  // channel 2, low byte, mode 0
  pit_.write(2, 0x80);
  EXPECT_EQ(pit_.read(2), 0x80);
  EXPECT_EQ(pit_.read(2), 0x80);
  pit_.write(control, 0xa0);  // high byte
  pit_.write(2, 0x12);
  EXPECT_EQ(pit_.read(2), 0x12);
}

TEST_F(PitTest, GoesOnInItsPhaseAfterLoad) {
  program(0, 3, 11932);
  const PitState saved = pit_.state();
  time_.advance(3'000'000);
  pit_.reset();
  pit_.state() = saved;
  pit_.after_load();
  EXPECT_EQ(pit_.state().channels[0].next_transition_time,
            pit_next_transition(saved.channels[0], time_.virtual_ns));
  EXPECT_TRUE(level_);
  time_.advance(3'000'000);
  EXPECT_FALSE(level_);
}

TEST_F(PitTest, SurvivesTimesOutOfTheWorld) {
  for (const std::int64_t odd : {INT64_MIN, std::int64_t{-1}, INT64_MAX}) {
    for (PitChannel& channel : pit_.state().channels) channel.count_load_time = odd;
    pit_.after_load();
    time_.advance(1000);
    read_word(0);
  }
}

}  // namespace
}  // namespace godwit::vm
