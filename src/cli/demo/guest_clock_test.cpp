#include "cli/demo/guest_clock.h"

#include <cstring>
#include <gtest/gtest.h>

#include "base/fail.h"

namespace godwit::cli::demo {
namespace {

using namespace std::chrono_literals;

constexpr HostTime start{1000s};
constexpr double rate = 1e9;  // a tick is a nanosecond

WitnessInfo at(HostTime::duration time, std::uint64_t clock) {
  return {.host_time = start + time, .clock = clock};
}

GuestClock clock_of(double host_rate) {
  return {at(0s, 5'000'000'000), at(1s, 6'000'000'000), host_rate};
}

TEST(GuestClock, TakesTheHostsRateWhereItIsTheSame) {
  EXPECT_EQ(clock_of(rate * 1.0005).ticks_per_second(), rate * 1.0005);
  EXPECT_EQ(clock_of(rate * 0.95).ticks_per_second(), rate * 0.95);
  EXPECT_EQ(clock_of(rate * 2).ticks_per_second(), rate);
}

TEST(GuestClock, TellsTheCounterAtAMoment) {
  EXPECT_DOUBLE_EQ(clock_of(rate).at(start + 1500ms), 6.5e9);
  EXPECT_DOUBLE_EQ(clock_of(rate).at(start + 500ms), 5.5e9);
}

TEST(Blackout, IsTheLongestGapDuringTheSwitch) {
  const auto before = at(1s, 6'000'000'000);
  const auto after = at(3s, 8'000'000'000);
  const Gap gaps[] = {{.end = 6'500'000'000, .ticks = 90'000'000},   // before it
                      {.end = 7'030'000'000, .ticks = 40'000'000},   // over its beginning
                      {.end = 7'045'000'000, .ticks = 10'000'000},   // within
                      {.end = 7'500'000'000, .ticks = 70'000'000}};  // after it
  const auto blackout = find_blackout(clock_of(rate), gaps, before, after, start + 2000ms, start + 2050ms);
  EXPECT_NEAR(blackout.switch_ms, 40, 0.001);
  EXPECT_NEAR(blackout.longest_ms, 90, 0.001);
  EXPECT_EQ(blackout.hidden_ms, 0);
  EXPECT_EQ(blackout.gaps, 4);
}

TEST(Blackout, CountsTimeInWhichTheGuestsClockStoodStill) {
  const auto before = at(1s, 6'000'000'000);
  const auto after = at(3s, 7'950'000'000);  // 50 ms are missing
  const Gap gaps[] = {{.end = 7'003'000'000, .ticks = 3'000'000}};
  const auto blackout = find_blackout(clock_of(rate), gaps, before, after, start + 2000ms, start + 2053ms);
  EXPECT_NEAR(blackout.hidden_ms, 50, 0.001);
  EXPECT_NEAR(blackout.switch_ms, 53, 0.001);
}

TEST(Blackout, IsFoundOnAClockThatWasSetDifferently) {
  const auto before = at(1s, 6'000'000'000);
  const auto after = at(3s, 20'000'000'000);
  const Gap gaps[] = {{.end = 19'000'000'000, .ticks = 60'000'000}};
  const auto blackout = find_blackout(clock_of(rate), gaps, before, after, start + 2000ms, start + 2050ms);
  EXPECT_NEAR(blackout.switch_ms, 60, 0.001);
}

TEST(Blackout, IsZeroForAGuestThatNoticedNothing) {
  const auto blackout = find_blackout(clock_of(rate), {}, at(1s, 6'000'000'000), at(3s, 8'000'000'000),
                                      start + 2000ms, start + 2050ms);
  EXPECT_EQ(blackout.switch_ms, 0);
}

/// A guest whose clock, in each reading, is `late` ticks old.
class ClockMemory final : public GuestMemory {
 public:
  explicit ClockMemory(std::vector<std::uint64_t> late) : late_(std::move(late)) {}
  Result<> read(std::uint64_t, std::span<std::byte> bytes) override {
    const auto now = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    const std::uint64_t clock = now - late_[reading_];
    const std::uint64_t number = reading_++;
    std::memcpy(bytes.data() + 0x08, &clock, sizeof clock);
    std::memcpy(bytes.data() + 0x10, &number, sizeof number);
    return {};
  }
  Result<> write(std::uint64_t, std::span<const std::byte>) override { return fail("not written"); }

 private:
  std::vector<std::uint64_t> late_;
  std::size_t reading_ = 0;
};

TEST(FreshInfo, IsTheReadingOfARunningGuest) {
  constexpr std::uint64_t second = 1'000'000'000;
  ClockMemory memory({9 * second, 5 * second, 7 * second, 0, 8 * second, 3 * second, 2 * second, 6 * second});
  const auto info = read_fresh_info(memory, rate, StopRequest());
  ASSERT_TRUE(info);
  EXPECT_EQ(info->pass, 3);
}

}  // namespace
}  // namespace godwit::cli::demo
