#include "vm/guest_timers.h"

#include <condition_variable>
#include <gtest/gtest.h>

#include "vm/testing/virtual_time.h"

namespace godwit::vm {
namespace {

using testing::VirtualTime;

TEST(GuestTimers, ExpireInTheirOrderAndOnce) {
  VirtualTime time;
  std::string order;
  GuestTimer& late = time.timers.add(GuestTime::Base::virtual_clock, [&] { order += "late "; });
  GuestTimer& early = time.timers.add(GuestTime::Base::virtual_clock, [&] { order += "early "; });
  GuestTimer& dropped = time.timers.add(GuestTime::Base::virtual_clock, [&] { order += "dropped "; });
  late.arm(time.virtual_ns + 200);
  early.arm(time.virtual_ns + 100);
  dropped.arm(time.virtual_ns + 150);
  dropped.disarm();
  time.advance(99);
  EXPECT_EQ(order, "");
  time.advance(1000);
  EXPECT_EQ(order, "early late ");
  time.advance(1000);
  EXPECT_EQ(order, "early late ");
}

TEST(GuestTimers, GoByTheClockTheyWereMadeFor) {
  VirtualTime time;
  time.host_offset_ns = 1'000'000'000;
  int expired = 0;
  GuestTimer& timer = time.timers.add(GuestTime::Base::host, [&] { ++expired; });
  timer.arm(time.virtual_ns + time.host_offset_ns + 10);
  time.advance(9);
  EXPECT_EQ(expired, 0);
  time.advance(1);
  EXPECT_EQ(expired, 1);
}

TEST(GuestTimers, MayBeArmedAnewFromWithin) {
  VirtualTime time;
  int expired = 0;
  GuestTimer* timer = nullptr;
  timer = &time.timers.add(GuestTime::Base::virtual_clock, [&] {
    if (++expired < 3) timer->arm(time.virtual_ns - 1);
  });
  timer->arm(0);
  time.advance(0);
  EXPECT_EQ(expired, 3);
}

TEST(GuestTimers, ExpireOnTheirThreadOnlyWhileTheMachineRuns) {
  VirtualTime time;
  std::mutex mutex;
  std::condition_variable changed;
  int expired = 0;
  GuestTimer& timer = time.timers.add(GuestTime::Base::virtual_clock, [&] {
    const std::lock_guard lock(mutex);
    ++expired;
    changed.notify_all();
  });
  timer.arm(0);
  time.timers.resume();
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return expired == 1; });
  }
  time.timers.pause();
  timer.arm(0);
  {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(expired, 1);
  }
  time.timers.resume();
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return expired == 2; });
}

}  // namespace
}  // namespace godwit::vm
