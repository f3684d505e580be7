#include "engine/dirty_limiter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/limit_converge.h"
#include "engine/testing/host.h"

namespace godwit::engine {
namespace {

using namespace std::chrono_literals;
using testing::FakeGuest;
using ::testing::HasSubstr;
using testing::Host;

constexpr double kMiB = 1 << 20;

/// A vCPU that writes in proportion to the time it gets, but never more than its hot set in a period.
double written(double share, double full_speed, double hot_set) {
  return std::min(share * full_speed, hot_set);
}

TEST(VcpuShare, AVcpuBelowItsLimitIsLeftAlone) {
  VcpuShare share;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(share.period_ended(5 * kMiB, 10 * kMiB), 1);
}

TEST(VcpuShare, AVcpuAboveItGetsThereInAFewPeriods) {
  for (const double hot_set : {16 * kMiB, 64 * kMiB, 1024 * kMiB}) {
    VcpuShare share;
    int periods = 0;
    while (written(share.share(), 3000 * kMiB, hot_set) > 10 * kMiB) {
      share.period_ended(written(share.share(), 3000 * kMiB, hot_set), 10 * kMiB);
      ASSERT_LT(++periods, 14) << hot_set;
    }
    // And it stays there.
    for (int i = 0; i < 20; ++i) {
      const double now = written(share.share(), 3000 * kMiB, hot_set);
      EXPECT_LE(now, 10.01 * kMiB);
      share.period_ended(now, 10 * kMiB);
    }
    EXPECT_GE(written(share.share(), 3000 * kMiB, hot_set), 8.9 * kMiB);
  }
}

TEST(VcpuShare, AVcpuThatWritesLessGetsItsTimeBack) {
  VcpuShare share;
  for (int i = 0; i < 5; ++i) share.period_ended(1000 * kMiB, kMiB);
  EXPECT_LT(share.share(), 0.001);
  for (int i = 0; i < 12; ++i) share.period_ended(0, kMiB);
  EXPECT_EQ(share.share(), 1);
}

TEST(VcpuShare, AVcpuNeverStandsStill) {
  VcpuShare share;
  for (int i = 0; i < 100; ++i) share.period_ended(1e12, 1);
  EXPECT_GT(share.share(), 0);
}

/// Virtual time; each period the vCPUs write what their shares allow.
class LimitedGuest : public ::testing::Test {
 protected:
  struct PeriodClock final : public Clock {
    Nanoseconds now() const override { return time.now(); }
    bool wait_for(const Event& event, Nanoseconds how_long) override {
      if (periods_left.fetch_sub(1) <= 0) {
        idle.set();
        event.wait();
        return true;
      }
      if (meanwhile) meanwhile(how_long);
      return time.wait_for(event, how_long);
    }
    VirtualClock time;
    std::atomic<int> periods_left{0};
    Event idle;
    std::function<void(Nanoseconds)> meanwhile;
  };
  struct Guest final : public FakeGuest {
    void limit_vcpu(std::size_t vcpu, double share) override { shares.at(vcpu) = share; }
    std::vector<double> shares{1, 1};
  };

  LimitedGuest() {
    guest_.tracker.by_vcpu = {0, 0};
    clock_.meanwhile = [this](Nanoseconds period) {
      const double seconds = std::chrono::duration<double>(period).count();
      for (std::size_t i = 0; i < 2; ++i)
        guest_.tracker.by_vcpu[i] +=
            static_cast<std::uint64_t>(seconds * full_speed_[i] * guest_.shares[i] / 4096);
    };
  }
  void run(int periods) { clock_.periods_left = periods; }

  Guest guest_;
  PeriodClock clock_;
  double full_speed_[2] = {800 * kMiB, 3 * kMiB};
  DirtyLimiter limiter_{guest_, clock_};
};

TEST_F(LimitedGuest, OnlyTheVcpuThatWritesIsHeldBack) {
  run(20);
  ASSERT_TRUE(limiter_.set(std::nullopt, 10).has_value());
  clock_.idle.wait();
  EXPECT_NEAR(guest_.shares[0], 10.0 / 800, 0.002);
  EXPECT_EQ(guest_.shares[1], 1);
  const auto info = limiter_.info();
  ASSERT_EQ(info.size(), 2u);
  EXPECT_EQ(info[0].limit_rate, 10u);
  EXPECT_NEAR(static_cast<double>(info[0].current_rate), 10, 1);
  EXPECT_EQ(info[1].cpu_index, 1);
  EXPECT_NEAR(static_cast<double>(info[1].current_rate), 3, 1);
  EXPECT_NEAR(static_cast<double>(limiter_.longest_wait().count()), 987'500, 5000);
  limiter_.cancel_all();
  EXPECT_EQ(guest_.shares[0], 1);
  EXPECT_TRUE(limiter_.info().empty());
  EXPECT_EQ(limiter_.longest_wait(), 0us);
}

TEST_F(LimitedGuest, OneVcpuCanBeLimitedAndLetGo) {
  run(20);
  ASSERT_TRUE(limiter_.set(1, 1).has_value());
  clock_.idle.wait();
  EXPECT_EQ(guest_.shares[0], 1);
  EXPECT_NEAR(guest_.shares[1], 1.0 / 3, 0.05);
  EXPECT_EQ(limiter_.info()[0].limit_rate, 0u);
  ASSERT_TRUE(limiter_.cancel(0).has_value());
  EXPECT_EQ(limiter_.info().size(), 2u) << "the other one is limited";
  ASSERT_TRUE(limiter_.cancel(1).has_value());
  EXPECT_TRUE(limiter_.info().empty());
  EXPECT_EQ(guest_.shares[1], 1);
}

TEST_F(LimitedGuest, WrongNumbersAreRefused) {
  EXPECT_EQ(limiter_.set(2, 1).error().what(), "there is no processor 2: the machine has 2");
  EXPECT_EQ(limiter_.cancel(-1).error().what(), "there is no processor -1: the machine has 2");
  guest_.tracker.by_vcpu.clear();
  EXPECT_THAT(limiter_.set(0, 1).error().what(), HasSubstr("requires KVM with accelerator property"));
}

TEST_F(LimitedGuest, AMigrationLimitsAfterTwoBadPeriodsAndLetsGo) {
  Parameters parameters;
  parameters.vcpu_dirty_limit = 7;
  LimitConverge converge(limiter_);
  converge.period_ended(60, 100, parameters);
  EXPECT_TRUE(limiter_.info().empty());
  converge.period_ended(40, 200, parameters);
  EXPECT_TRUE(limiter_.info().empty()) << "a good period";
  converge.period_ended(51, 300, parameters);
  ASSERT_EQ(limiter_.info().size(), 2u);
  EXPECT_EQ(limiter_.info()[0].limit_rate, 7u);
  parameters.vcpu_dirty_limit = 5;  // may be changed on the way
  converge.period_ended(0, 400, parameters);
  EXPECT_EQ(limiter_.info()[0].limit_rate, 5u);
  converge.stop();
  EXPECT_TRUE(limiter_.info().empty());
}

TEST(DirtyLimit, NeedsTheRingAndNoAutoConverge) {
  Host host;
  const auto error = [&](schema::MigrationCapability capability) {
    const auto result = host.migration.set_capabilities({{capability, true}});
    return result ? "" : result.error().what();
  };
  using enum schema::MigrationCapability;
  EXPECT_EQ(error(dirty_limit), "dirty-limit requires KVM with accelerator property 'dirty-ring-size' set");
  host.guest.tracker.by_vcpu = {0};
  EXPECT_EQ(error(dirty_limit), "");
  EXPECT_EQ(error(auto_converge),
            "dirty-limit conflicts with auto-converge either of then available currently");
}

}  // namespace
}  // namespace godwit::engine
