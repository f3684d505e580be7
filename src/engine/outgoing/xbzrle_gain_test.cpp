#include "engine/outgoing/xbzrle_gain.h"

#include <gtest/gtest.h>

#include <godwit/ram_block.h>

namespace godwit::engine {
namespace {

constexpr std::uint64_t window = XbzrleGain::window_pages;

TEST(XbzrleGain, SmallDeltasPay) {
  XbzrleGain gain;
  for (std::uint64_t pass = 2; pass < 100; ++pass)
    EXPECT_FALSE(gain.made_deltas(pass, window, window * 100, window / 2));
  EXPECT_TRUE(gain.pays());
}

TEST(XbzrleGain, PagesThatChangeAllOverDoNot) {
  XbzrleGain gain;
  EXPECT_FALSE(gain.made_deltas(2, 0, 0, 10 * window)) << "the cache fills";
  EXPECT_FALSE(gain.made_deltas(3, window - 1, (window - 1) * page_size, 0));
  EXPECT_TRUE(gain.pays());
  EXPECT_TRUE(gain.made_deltas(3, 1, page_size, 0));
  EXPECT_FALSE(gain.pays());
}

TEST(XbzrleGain, ACacheThatIsTooSmallDoesNot) {
  XbzrleGain gain;
  EXPECT_FALSE(gain.made_deltas(2, 0, 0, 4 * window));
  EXPECT_TRUE(gain.made_deltas(3, window / 20, 0, 4 * window)) << "one in eighty is found";
}

TEST(XbzrleGain, ATenthSavedIsEnough) {
  XbzrleGain gain;
  EXPECT_FALSE(gain.made_deltas(2, window, window * page_size * 89 / 100, 0));
  EXPECT_TRUE(gain.made_deltas(2, window, window * page_size * 91 / 100, 0));
}

TEST(XbzrleGain, IsTriedAgainAfterPausesThatGrow) {
  XbzrleGain gain;
  std::uint64_t pass = 2;
  for (std::uint64_t pause = XbzrleGain::first_pause; pause <= 2 * XbzrleGain::longest_pause; pause *= 2) {
    const std::uint64_t expected = std::min(pause, XbzrleGain::longest_pause);
    ASSERT_TRUE(gain.made_deltas(pass, window, window * page_size, 0));
    EXPECT_FALSE(gain.stayed_aside(expected - 1));
    EXPECT_FALSE(gain.pays());
    EXPECT_TRUE(gain.stayed_aside(1));
    EXPECT_TRUE(gain.pays());
    pass += 2;
    EXPECT_FALSE(gain.made_deltas(pass, 0, 0, 10 * window)) << "the cache fills again";
    ++pass;
  }
  // Once it pays, the next pause is a short one again.
  EXPECT_FALSE(gain.made_deltas(pass, window, 0, 0));
  EXPECT_TRUE(gain.made_deltas(pass, window, window * page_size, 0));
  EXPECT_TRUE(gain.stayed_aside(XbzrleGain::first_pause));
}

}  // namespace
}  // namespace godwit::engine
