#include "engine/throttle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/convergence.h"
#include "engine/testing/fake_guest.h"

namespace godwit::engine {
namespace {

using ::testing::ElementsAre;
constexpr std::uint64_t MiB = 1 << 20;

/// The percentages after each of so many periods that are all the same.
std::vector<int> steps(const Parameters& parameters, int periods, std::uint64_t dirtied = 100 * MiB,
                       std::uint64_t sent = 100 * MiB) {
  ThrottleSteps throttle;
  std::vector<int> changes;
  for (int i = 0; i < periods; ++i)
    if (const auto percent = throttle.period_ended(dirtied, sent, parameters)) changes.push_back(*percent);
  return changes;
}

TEST(Throttle, StepsOfTheSpecification) {
  Parameters parameters;
  parameters.cpu_throttle_increment_percent = 30;
  parameters.max_cpu_throttle_percent = 85;
  EXPECT_THAT(steps(parameters, 1), ElementsAre());
  EXPECT_THAT(steps(parameters, 2), ElementsAre(20));
  EXPECT_THAT(steps(parameters, 20), ElementsAre(20, 50, 80, 85));
}

TEST(Throttle, AHalfIsBearable) {
  EXPECT_THAT(steps({}, 10, 50 * MiB, 100 * MiB), ElementsAre());
  EXPECT_THAT(steps({}, 4, 50 * MiB + 4096, 100 * MiB), ElementsAre(20, 30));
  Parameters parameters;
  parameters.throttle_trigger_threshold_percent = 100;
  EXPECT_THAT(steps(parameters, 10), ElementsAre());
}

TEST(Throttle, GoodPeriodsBetweenDoNotCount) {
  ThrottleSteps throttle;
  EXPECT_FALSE(throttle.period_ended(100, 100, {}));
  EXPECT_FALSE(throttle.period_ended(0, 100, {}));
  EXPECT_EQ(throttle.period_ended(100, 100, {}), 20);
}

TEST(Throttle, TailslowTakesSmallerStepsWhenItIsNearlyEnough) {
  Parameters parameters;
  parameters.cpu_throttle_tailslow = true;
  parameters.cpu_throttle_increment_percent = 30;
  EXPECT_THAT(steps(parameters, 4), ElementsAre(20, 50));  // half is too much: the step is whole
  // 55 where 50 is bearable: of the 80 % that it runs, 7 too much.
  EXPECT_THAT(steps(parameters, 6, 55 * MiB), ElementsAre(20, 27, 33));
}

TEST(Throttle, ALiveMaximumBringsItDown) {
  ThrottleSteps throttle;
  Parameters parameters;
  parameters.cpu_throttle_initial_percent = 80;
  for (int i = 0; i < 2; ++i) throttle.period_ended(100, 100, parameters);
  EXPECT_EQ(throttle.percent(), 80);
  parameters.cpu_throttle_initial_percent = 20;
  parameters.max_cpu_throttle_percent = 40;
  throttle.period_ended(100, 100, parameters);
  EXPECT_EQ(throttle.period_ended(100, 100, parameters), 40);
}

TEST(Throttle, TheWayToTheLargestPercentage) {
  EXPECT_EQ(time_to_largest_throttle({}), std::chrono::seconds(18));  // 20, 30, ... 90, 99
  Parameters parameters;
  parameters.cpu_throttle_initial_percent = parameters.max_cpu_throttle_percent = 50;
  EXPECT_EQ(time_to_largest_throttle(parameters), std::chrono::seconds(2));
}

TEST(Throttle, TheGuestIsLetGoAtTheEnd) {
  testing::FakeGuest guest;
  std::atomic<int> percent{0};
  {
    AutoConverge converge(guest, percent);
    converge.period_ended(100, 100, {});
    EXPECT_THAT(guest.throttles(), ElementsAre());
    converge.period_ended(100, 200, {});
    EXPECT_EQ(percent, 20);
  }
  EXPECT_EQ(percent, 0);
  EXPECT_THAT(guest.throttles(), ElementsAre(20, 0));
  {
    AutoConverge never(guest, percent);
  }
  EXPECT_THAT(guest.throttles(), ElementsAre(20, 0));
}

/// A guest that rewrites 256 MiB without pause at 400 MiB/s, a link of 112 MiB/s: hours of migration, in no
/// time.
TEST(Throttle, AStuckMigrationConvergesInVirtualTime) {
  constexpr double dirty_rate = 400.0 * MiB;
  constexpr double bandwidth = 112.0 * MiB;
  constexpr double hot_set = 256.0 * MiB;
  testing::FakeGuest guest;
  std::atomic<int> percent{0};
  AutoConverge converge(guest, percent);
  VirtualClock clock;
  DirtyRate rate;
  rate.start(clock.now());
  double sent = 0;
  double remaining = hot_set;
  int passes = 0;
  while (remaining > bandwidth * 0.3 && ++passes < 1000) {
    const double seconds = remaining / bandwidth;
    clock.advance(std::chrono::duration_cast<Nanoseconds>(std::chrono::duration<double>(seconds)));
    sent += remaining;
    remaining = std::min(hot_set, seconds * dirty_rate * (100 - percent) / 100);
    if (rate.add(clock.now(), static_cast<std::uint64_t>(remaining) / page_size))
      converge.period_ended(rate.period_pages() * page_size, static_cast<std::uint64_t>(sent), {});
  }
  EXPECT_LT(passes, 1000);
  EXPECT_GE(percent, 80);
  EXPECT_LT(clock.now(), std::chrono::seconds(60));
  EXPECT_THAT(guest.throttles(), ::testing::Contains(20));
}

}  // namespace
}  // namespace godwit::engine
