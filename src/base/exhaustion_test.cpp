// Memory and threads that are refused become errors, wherever it happens.
#include "base/exhaustion.h"

#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <system_error>

#include "base/testing/shortage.h"
#include "base/thread.h"

namespace godwit {
namespace {

using test::MemoryShortage;
using test::ThreadShortage;

std::string allocate_twice() {
  const std::string first(100, 'a');
  return first + std::string(100, 'b');
}

TEST(Exhaustion, BecomesAnError) {
  auto result = or_exhausted([]() -> Result<int> {
    throw std::system_error(EMFILE, std::generic_category(), "cannot create an eventfd");
  });
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().what(), "cannot create an eventfd: Too many open files");
  result = or_exhausted([]() -> Result<int> { throw std::bad_alloc(); });
  EXPECT_EQ(result.error().what(), "Out of memory");
  result = or_exhausted([]() -> Result<int> { return 7; });
  EXPECT_EQ(result.value_or(0), 7);
}

TEST(Exhaustion, AThreadWhoseMemoryIsRefusedSaysSoAndEnds) {
  std::optional<std::string> what;
  {
    const MemoryShortage shortage("starved", 2);
    start_thread(
        "starved", [](std::stop_token) { allocate_twice(); },
        [&](const Error& error) { what = error.what() + allocate_twice().substr(0, 0); });
    EXPECT_TRUE(shortage.happened());
  }
  EXPECT_EQ(what, "Out of memory");
}

TEST(Exhaustion, OtherThreadsKeepTheirMemory) {
  const MemoryShortage shortage("starved", 1);
  EXPECT_EQ(allocate_twice().size(), 200u);
  EXPECT_FALSE(shortage.happened());
}

TEST(Exhaustion, WhatHasToBeDoneIsDoneWithTheReserve) {
  std::string text;
  start_thread("starved", [&](std::stop_token) {
    const MemoryShortage shortage("starved", 1);
    text = with_reserve(allocate_twice);
  });
  EXPECT_EQ(text.size(), 200u);
  EXPECT_FALSE(MemoryReserve::is_there());
}

TEST(Exhaustion, TheReserveIsNotTakenBackAtOnce) {
  MemoryReserve::fill_now();
  MemoryReserve::release();
  MemoryReserve::fill();
  EXPECT_FALSE(MemoryReserve::is_there());
}

TEST(Exhaustion, AThreadThatCannotStartIsAnError) {
  const ThreadShortage shortage;
  const auto started = or_exhausted([]() -> Result<> {
    start_thread("never", [](std::stop_token) {});
    return {};
  });
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().what(), "cannot start the thread 'never': Resource temporarily unavailable");
}

}  // namespace
}  // namespace godwit
