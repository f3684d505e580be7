#include "engine/convergence.h"

#include <gtest/gtest.h>

namespace godwit::engine {
namespace {

TEST(BandwidthWindow, NothingConvergesBeforeTheFirstWindowEnds) {
  BandwidthWindow window;
  window.start(0ms, 0, 0);
  EXPECT_FALSE(window.update(99ms, 50'000'000, 12'000, 300));
  EXPECT_EQ(window.threshold_bytes(), 0u);
  EXPECT_TRUE(window.update(100ms, 50'000'000, 12'000, 300));
  EXPECT_EQ(window.threshold_bytes(), 150'000'000u);  // 500 kB/ms for 300 ms
  EXPECT_DOUBLE_EQ(window.mbps(), 4000.0);
  EXPECT_EQ(window.pages_per_second(), 120'000u);
}

TEST(BandwidthWindow, EachWindowCountsItsOwnBytes) {
  BandwidthWindow window;
  window.start(0ms, 1000, 0);
  window.update(100ms, 2000, 1, 100);
  window.update(300ms, 4000, 2, 100);
  EXPECT_DOUBLE_EQ(window.bytes_per_ms(), 10.0);
  EXPECT_EQ(window.threshold_bytes(), 1000u);
}

TEST(BandwidthWindow, WhatDeltasSpareCountsForWhatCanBeMovedAndNotForTheBandwidth) {
  BandwidthWindow window;
  window.start(0ms, 0, 0, 500);
  window.update(100ms, 1000, 100, 300, 100'500);
  EXPECT_DOUBLE_EQ(window.bytes_per_ms(), 10.0);
  EXPECT_EQ(window.threshold_bytes(), 303'000u);
  window.update(200ms, 2000, 100, 300, 100'500);
  EXPECT_EQ(window.threshold_bytes(), 3000u) << "of the last window";
}

TEST(BandwidthWindow, TheQuotaIsATenthOfTheBandwidthAndAlwaysLetsOnePageGo) {
  BandwidthWindow window;
  window.start(0ms, 0, 0);
  EXPECT_GT(window.quota_left(0, 60'000), 0u);
  EXPECT_GT(window.quota_left(6000, 60'000), 0u);
  EXPECT_EQ(window.quota_left(6001, 60'000), 0u);
  EXPECT_EQ(window.quota_left(1'000'000'000, 0), ~std::uint64_t{0});
  EXPECT_EQ(window.ends_at(), Nanoseconds(100ms));
}

TEST(BandwidthWindow, WhatIsToComeEvenlyIsDueWhenWhatWentBeforeHasHadItsTime) {
  BandwidthWindow window;
  window.start(1000ms, 500, 0);
  EXPECT_EQ(window.due_at(500, 1'000'000), Nanoseconds(1000ms));
  EXPECT_EQ(window.due_at(10'500, 1'000'000), Nanoseconds(1010ms));
  EXPECT_EQ(window.due_at(1'000'000'500, 1'000'000), window.ends_at());
  EXPECT_EQ(window.due_at(~std::uint64_t{0}, 1), window.ends_at());
  EXPECT_EQ(window.due_at(1'000'000'500, 0), Nanoseconds(1000ms));
}

TEST(DirtyRate, IsTakenOverPeriodsOfMoreThanASecond) {
  DirtyRate rate;
  rate.start(0ms);
  EXPECT_FALSE(rate.add(600ms, 300));
  EXPECT_FALSE(rate.add(1000ms, 200));
  EXPECT_EQ(rate.pages_per_second(), 0u);
  EXPECT_TRUE(rate.add(2000ms, 500));
  EXPECT_EQ(rate.pages_per_second(), 500u);
  EXPECT_FALSE(rate.add(2500ms, 100));
  EXPECT_EQ(rate.pages_per_second(), 500u);
}

}  // namespace
}  // namespace godwit::engine
