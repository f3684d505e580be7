#include "engine/outgoing/xbzrle_gain.h"

#include <gtest/gtest.h>

#include <godwit/ram_block.h>

namespace godwit::engine {
namespace {

constexpr std::uint64_t window = XbzrleGain::window_pages;

TEST(XbzrleGain, SmallDeltasPay) {
  XbzrleGain gain;
  for (int run = 0; run < 100; ++run) EXPECT_FALSE(gain.made_deltas(window, window * 100, window / 2));
  EXPECT_TRUE(gain.pays());
}

TEST(XbzrleGain, PagesThatChangeAllOverDoNot) {
  XbzrleGain gain;
  EXPECT_FALSE(gain.made_deltas(window - 1, (window - 1) * page_size, 0));
  EXPECT_TRUE(gain.pays());
  EXPECT_TRUE(gain.made_deltas(1, page_size, 0));
  EXPECT_FALSE(gain.pays());
}

TEST(XbzrleGain, ACacheThatIsTooSmallDoesNot) {
  XbzrleGain gain;
  EXPECT_TRUE(gain.made_deltas(window / 20, 0, 4 * window)) << "one in eighty is found";
}

TEST(XbzrleGain, PagesThatAreNewToTheCacheSayNothing) {
  XbzrleGain gain;
  EXPECT_FALSE(gain.made_deltas(0, 0, 0));
  EXPECT_FALSE(gain.made_deltas(window, 0, 0));
  EXPECT_TRUE(gain.pays());
}

TEST(XbzrleGain, ATenthSavedIsEnough) {
  XbzrleGain gain;
  EXPECT_FALSE(gain.made_deltas(window, window * page_size * 89 / 100, 0));
  EXPECT_TRUE(gain.made_deltas(window, window * page_size * 91 / 100, 0));
}

TEST(XbzrleGain, IsTriedAgainAfterPausesThatGrow) {
  XbzrleGain gain;
  for (std::uint64_t pause = XbzrleGain::first_pause; pause <= 2 * XbzrleGain::longest_pause; pause *= 2) {
    const std::uint64_t expected = std::min(pause, XbzrleGain::longest_pause);
    ASSERT_TRUE(gain.made_deltas(window, window * page_size, 0));
    EXPECT_FALSE(gain.stayed_aside(expected - 1));
    EXPECT_FALSE(gain.pays());
    EXPECT_TRUE(gain.stayed_aside(1));
    EXPECT_TRUE(gain.pays());
  }
  // Once it pays, the next pause is a short one again.
  EXPECT_FALSE(gain.made_deltas(window, 0, 0));
  EXPECT_TRUE(gain.made_deltas(window, window * page_size, 0));
  EXPECT_TRUE(gain.stayed_aside(XbzrleGain::first_pause));
}

}  // namespace
}  // namespace godwit::engine
