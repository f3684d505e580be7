#include "engine/dirty_rate_meter.h"

#include <atomic>
#include <gtest/gtest.h>

#include "engine/testing/fake_guest.h"

namespace godwit::engine {
namespace {

using namespace std::chrono_literals;
using Mode = schema::DirtyRateMeasureMode;
using State = schema::DirtyRateStatus;

/// Virtual time in which something happens while somebody waits.
class EventfulClock final : public Clock {
 public:
  Nanoseconds now() const override { return time_.now(); }
  bool wait_for(const Event& event, Nanoseconds how_long) override {
    if (meanwhile) meanwhile();
    if (hold) {  // until somebody ends it, a second later
      event.wait();
      time_.advance(1s);
      return true;
    }
    return time_.wait_for(event, how_long);
  }
  void advance(Nanoseconds how_long) { time_.advance(how_long); }

  std::function<void()> meanwhile;
  bool hold = false;

 private:
  VirtualClock time_;
};

class DirtyRateTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t pages = 4096;  // 16 MiB

  void write(std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t page = first; page < first + count; ++page) {
      std::byte& word = guest_.ram_blocks()[0].host[page * page_size + 8 * (page % 512)];
      word ^= std::byte{0x5a};
      guest_.tracker.wrote(0, page);
    }
  }
  schema::CalcDirtyRateArguments wanted(std::int64_t seconds, std::optional<Mode> mode = std::nullopt,
                                        std::optional<std::int64_t> samples = std::nullopt) {
    schema::CalcDirtyRateArguments arguments;
    arguments.calc_time = seconds;
    arguments.mode = mode;
    arguments.sample_pages = samples;
    return arguments;
  }
  std::string refusal(const schema::CalcDirtyRateArguments& arguments) {
    const auto started = meter_.start(arguments);
    return started ? "" : started.error().what();
  }
  schema::DirtyRateInfo result() {
    while (meter_.info().status == State::measuring) std::this_thread::yield();
    return meter_.info();
  }

  testing::FakeGuest guest_{{{"ram", pages}}};
  EventfulClock clock_;
  DirtyRateMeter meter_{guest_, clock_, 1};
};

TEST_F(DirtyRateTest, NothingWasAskedFor) {
  const auto info = meter_.info();
  EXPECT_EQ(info.status, State::unstarted);
  EXPECT_EQ(info.mode, Mode::page_sampling);
  EXPECT_FALSE(info.dirty_rate);
  EXPECT_EQ(info.start_time, 0);
  EXPECT_EQ(info.calc_time, 0);
  EXPECT_EQ(info.sample_pages, 0U);
}

TEST_F(DirtyRateTest, SamplesFindTheShareOfPagesThatChanged) {
  clock_.advance(77'500ms);
  clock_.meanwhile = [this] { write(0, pages / 4); };
  ASSERT_TRUE(meter_.start(wanted(2, std::nullopt, 16384)));  // 256 samples of the 16 MiB
  const auto info = result();
  EXPECT_EQ(info.status, State::measured);
  EXPECT_EQ(info.start_time, 77);
  EXPECT_EQ(info.calc_time, 2);
  EXPECT_EQ(info.sample_pages, 16384U);
  EXPECT_NEAR(static_cast<double>(*info.dirty_rate), 2, 1);  // 4 MiB in 2 s
  EXPECT_FALSE(info.vcpu_dirty_rate);
  EXPECT_EQ(guest_.tracker.starts(), 0);
}

TEST_F(DirtyRateTest, AGuestAtRestHasNoRate) {
  ASSERT_TRUE(meter_.start(wanted(60)));
  EXPECT_EQ(result().dirty_rate, 0);
}

TEST_F(DirtyRateTest, WithoutRamThereIsNothingToMeasure) {
  testing::FakeGuest none(std::vector<testing::BlockSize>{});
  DirtyRateMeter meter(none, clock_, 1);
  ASSERT_TRUE(meter.start(wanted(1)));
  while (meter.info().status == State::measuring) std::this_thread::yield();
  EXPECT_EQ(meter.info().dirty_rate, -1);
}

TEST_F(DirtyRateTest, TheTrackerCountsEachPageOnce) {
  clock_.meanwhile = [this] {
    for (int again = 0; again < 3; ++again) write(100, 2048);
  };
  ASSERT_TRUE(meter_.start(wanted(2, Mode::dirty_bitmap)));
  const auto info = result();
  EXPECT_EQ(info.dirty_rate, 4);  // 8 MiB in 2 s
  EXPECT_EQ(info.mode, Mode::dirty_bitmap);
  EXPECT_EQ(info.sample_pages, 0U);
  EXPECT_FALSE(guest_.tracker.running());
}

TEST_F(DirtyRateTest, TheRingTellsTheVcpus) {
  guest_.tracker.by_vcpu = {256, 1024};  // pages: 1 and 4 MiB
  clock_.meanwhile = [this] { write(0, 1280); };
  ASSERT_TRUE(meter_.start(wanted(1, Mode::dirty_ring)));
  const auto info = result();
  EXPECT_EQ(info.dirty_rate, 5);
  ASSERT_TRUE(info.vcpu_dirty_rate);
  ASSERT_EQ(info.vcpu_dirty_rate->size(), 2U);
  EXPECT_EQ((*info.vcpu_dirty_rate)[0].dirty_rate, 1);
  EXPECT_EQ((*info.vcpu_dirty_rate)[1].id, 1);
  EXPECT_EQ((*info.vcpu_dirty_rate)[1].dirty_rate, 4);
}

TEST_F(DirtyRateTest, AMigrationTakesTheTrackerAndLeavesTheRateOfTheTimeSoFar) {
  clock_.hold = true;
  clock_.meanwhile = [this] { write(0, 512); };
  ASSERT_TRUE(meter_.start(wanted(60, Mode::dirty_bitmap)));
  EXPECT_EQ(refusal(wanted(100)), "the dirty rate is already being measured.");
  meter_.release_tracker();
  EXPECT_EQ(meter_.info().status, State::measured);
  EXPECT_FALSE(guest_.tracker.running());
  EXPECT_LE(*meter_.info().dirty_rate, 2);  // all 2 MiB if the thread had come to wait, none if it had not
}

TEST_F(DirtyRateTest, SamplingDoesNotMindAMigration) {
  clock_.hold = true;
  ASSERT_TRUE(meter_.start(wanted(60)));
  meter_.release_tracker();
  EXPECT_EQ(meter_.info().status, State::measuring);
}  // and the destructor does not wait for the minute to pass

TEST_F(DirtyRateTest, Texts) {
  EXPECT_EQ(refusal(wanted(0)), "calc-time is out of range[1, 60].");
  EXPECT_EQ(refusal(wanted(61, Mode::dirty_ring)), "calc-time is out of range[1, 60].");
  EXPECT_EQ(refusal(wanted(1, std::nullopt, 127)), "sample-pages is out of range[128, 16384].");
  EXPECT_EQ(refusal(wanted(1, Mode::dirty_bitmap, 16385)), "sample-pages is out of range[128, 16384].");
  EXPECT_EQ(refusal(wanted(1, Mode::dirty_ring, 1)), "either sample-pages or dirty-ring can be specified.");
  EXPECT_EQ(refusal(wanted(1, Mode::dirty_ring)),
            "mode dirty-ring is not enabled, use other method instead.");
  guest_.tracker.by_vcpu = {0};
  EXPECT_EQ(refusal(wanted(1, Mode::dirty_bitmap)),
            "mode dirty-bitmap is not enabled, use other method instead.");
  EXPECT_EQ(meter_.info().status, State::unstarted);
}

}  // namespace
}  // namespace godwit::engine
