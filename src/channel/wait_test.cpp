#include "channel/wait.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "base/system.h"

namespace godwit::channel {
namespace {

using namespace std::chrono_literals;

struct Entry {
  UniqueFd fd;
  pollfd entry{fd.get(), POLLIN, 0};
  explicit Entry(unsigned ready) : fd(::eventfd(ready, EFD_NONBLOCK | EFD_CLOEXEC)) {}
};

Deadline in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

TEST(WaitAwake, WhatIsFetchedComesBeforeAnyEntry) {
  Entry ready(1);
  ready.entry.revents = POLLIN;  // of a wait before
  const auto found = wait_awake({&ready.entry, 1}, 10s, in(10s), [] { return true; });
  ASSERT_TRUE(found.has_value() && *found);
  EXPECT_EQ(ready.entry.revents, 0);
}

TEST(WaitAwake, LooksAtTheEntriesBetweenTwoFetches) {
  Entry ready(1);
  int fetches = 0;
  const auto found = wait_awake({&ready.entry, 1}, 10s, in(10s), [&] { return ++fetches > 1; });
  ASSERT_TRUE(found.has_value() && *found);
  EXPECT_EQ(fetches, 1);
  EXPECT_EQ(ready.entry.revents, POLLIN);
}

TEST(WaitAwake, FetchesUntilItIsThere) {
  Entry silent(0);
  int fetches = 0;
  const auto found = wait_awake({&silent.entry, 1}, 10s, in(10s), [&] { return ++fetches == 5; });
  ASSERT_TRUE(found.has_value() && *found);
  EXPECT_EQ(silent.entry.revents, 0);
}

TEST(WaitAwake, WhoDoesNotStayAwakeFetchesNothing) {
  Entry ready(1);
  const auto fetch = [] {
    ADD_FAILURE() << "fetched";
    return true;
  };
  for (const std::chrono::nanoseconds awake : {0ns, -1ns}) {
    const auto found = wait_awake({&ready.entry, 1}, awake, in(10s), fetch);
    ASSERT_TRUE(found.has_value() && *found);
    EXPECT_EQ(ready.entry.revents, POLLIN);
  }
}

TEST(WaitAwake, EndsAtTheDeadlineAwakeOrAsleep) {
  Entry silent(0);
  for (const std::chrono::nanoseconds awake : {0ns, 10'000'000'000ns}) {
    const auto found = wait_awake({&silent.entry, 1}, awake, in(2ms), [] { return false; });
    ASSERT_TRUE(found.has_value());
    EXPECT_FALSE(*found);
  }
}

TEST(WaitAwake, WithADeadlineThatHasPassedAnEntryIsStillSeen) {
  Entry ready(1);
  const auto found = wait_awake({&ready.entry, 1}, 10s, in(-1ms), [] { return false; });
  ASSERT_TRUE(found.has_value() && *found);
  EXPECT_EQ(ready.entry.revents, POLLIN);
}

}  // namespace
}  // namespace godwit::channel
