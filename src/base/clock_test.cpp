#include "base/clock.h"

#include <gtest/gtest.h>
#include <thread>

namespace godwit {
namespace {

using namespace std::chrono_literals;

TEST(VirtualClock, WaitingIsWhatMovesIt) {
  VirtualClock clock;
  Event never;
  EXPECT_FALSE(clock.wait_for(never, 100ms));
  EXPECT_EQ(clock.now(), Nanoseconds(100ms));
}

TEST(VirtualClock, ASetEventCostsNoTime) {
  VirtualClock clock;
  Event event;
  event.set();
  EXPECT_TRUE(clock.wait_for(event, 1h));
  EXPECT_EQ(clock.now(), Nanoseconds(0));
}

TEST(SteadyClock, AnEventEndsTheWait) {
  SteadyClock clock;
  Event event;
  std::jthread setter([&event] { event.set(); });
  EXPECT_TRUE(clock.wait_for(event, 1h));
}

TEST(Event, CanBeUsedAgainAfterClear) {
  Event event;
  event.set();
  event.clear();
  EXPECT_FALSE(event.is_set());
}

}  // namespace
}  // namespace godwit
