// How pages are sent where that is not the default: zero pages found elsewhere or not at all, deltas that
// step aside, lanes that are chosen on the way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/outgoing/auto_lanes.h"
#include "engine/outgoing/page_sample.h"
#include "engine/testing/lanes_pair.h"

namespace godwit::engine {
namespace {

using testing::BlockSize;
using testing::LanesTest;
using testing::Pair;
using enum schema::MigrationCapability;
using ::testing::HasSubstr;

struct ZeroCase {
  schema::ZeroPageDetection detection;
  schema::MultiFDCompression compression;
};

class ZeroPagesOverChannels : public LanesTest, public ::testing::WithParamInterface<ZeroCase> {};

TEST_P(ZeroPagesOverChannels, AGuestMovesWhileItWrites) {
  const auto [detection, compression] = GetParam();
  Pair pair;
  pair.set(multifd);
  schema::MigrateSetParameters parameters;
  parameters.multifd_channels = 3;
  parameters.multifd_compression = compression;
  parameters.zero_page_detection = detection;
  pair.set(parameters);
  // What is there has to become zeros.
  for (const RamBlock& block : pair.destination.guest.ram_blocks()) std::memset(block.host, 0x77, block.size);
  pair.write_meanwhile(6);
  const auto info = move(pair);
  EXPECT_GE(info.ram->normal + info.ram->duplicate, 801);
  if (detection == schema::ZeroPageDetection::none)
    EXPECT_EQ(info.ram->duplicate, 0);
  else
    EXPECT_GE(info.ram->duplicate, 160);
  // The main channel has no page in it: headers, marks, and the description.
  if (detection != schema::ZeroPageDetection::legacy) {
    EXPECT_LT(info.ram->transferred - static_cast<std::int64_t>(info.ram->multifd_bytes), 1000);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ZeroPagesOverChannels,
    ::testing::Values(ZeroCase{schema::ZeroPageDetection::multifd, schema::MultiFDCompression::none},
                      ZeroCase{schema::ZeroPageDetection::multifd, schema::MultiFDCompression::zlib},
                      ZeroCase{schema::ZeroPageDetection::multifd, schema::MultiFDCompression::zstd},
                      ZeroCase{schema::ZeroPageDetection::legacy, schema::MultiFDCompression::zstd},
                      ZeroCase{schema::ZeroPageDetection::none, schema::MultiFDCompression::none},
                      ZeroCase{schema::ZeroPageDetection::none, schema::MultiFDCompression::zlib}));

TEST_F(LanesTest, ZeroPagesAreSentLikeOthersIfNobodyLooksForThem) {
  for (const auto& capability : {std::optional<schema::MigrationCapability>(), {xbzrle}, {compress}}) {
    Pair pair;
    schema::MigrateSetParameters parameters;
    parameters.zero_page_detection = schema::ZeroPageDetection::none;
    pair.set(parameters);
    if (capability) pair.set(*capability);
    pair.write_meanwhile(4);
    const auto info = move(pair);
    EXPECT_EQ(info.ram->duplicate, 0);
  }
}

TEST_F(LanesTest, DeltasStepAsideWhenPagesChangeAllOver) {
  const std::vector<BlockSize> large = {{"ram", 6000}};
  Pair pair(large);
  pair.source.set(xbzrle);
  pair.source.guest.tracker.on_collect = [&pair, round = 0u, x = 1u]() mutable {
    if (++round > 8) return;
    const RamBlock& block = pair.source.guest.ram_blocks()[0];
    for (std::uint64_t page = 0; page < 3000; ++page) {
      auto* words = reinterpret_cast<std::uint32_t*>(block.host + page * page_size);
      for (std::size_t i = 0; i < page_size / 4; ++i) words[i] = x = x * 1664525 + 1013904223;
      pair.source.guest.tracker.mark_locked(0, page);
    }
  };
  const auto info = move(pair);
  // A pass fills the cache, one window is tried; the pages of the passes after that are not deltas any more.
  EXPECT_GE(info.xbzrle_cache->overflow, 2048);
  EXPECT_LE(info.xbzrle_cache->overflow, 2048 + 256);
  EXPECT_EQ(info.xbzrle_cache->bytes, info.xbzrle_cache->overflow * 4096);
  EXPECT_LE(info.xbzrle_cache->cache_miss, 3000 + 3000);
}

TEST_F(LanesTest, LanesAreChosenAfterTheFirstPass) {
  Pair pair({{"ram", 6000}});
  pair.source.set(x_auto_lanes);
  pair.source.guest.tracker.on_collect = [&pair, round = 0]() mutable {
    if (++round > 12) return;
    const RamBlock& block = pair.source.guest.ram_blocks()[0];
    for (std::uint64_t page = 0; page < 3000; ++page) {
      block.host[page * page_size + 17] = static_cast<std::byte>(round);
      pair.source.guest.tracker.mark_locked(0, page);
    }
  };
  const auto info = move(pair);
  ASSERT_TRUE(info.x_auto_lanes.has_value());
  EXPECT_TRUE(info.x_auto_lanes->xbzrle);
  EXPECT_TRUE(info.x_auto_lanes->auto_converge);
  EXPECT_EQ(info.x_auto_lanes->channels, 0u);
  EXPECT_NEAR(info.x_auto_lanes->zero_share, 0.1, 0.01);  // of five pages one, but for those written to
  EXPECT_GT(info.x_auto_lanes->compressibility, 1);
  EXPECT_THAT(info.x_auto_lanes->reason, HasSubstr("11 MiB that the guest writes to"));
  ASSERT_TRUE(info.xbzrle_cache.has_value());
  EXPECT_GT(info.xbzrle_cache->pages, 2000 * 8);
  EXPECT_LT(info.xbzrle_cache->bytes, info.xbzrle_cache->pages * 40);
}

TEST_F(LanesTest, AGuestThatStandsStillIsSentAsItIs) {
  Pair pair;
  pair.source.set(x_auto_lanes);
  const auto info = move(pair);
  EXPECT_FALSE(info.xbzrle_cache.has_value());
  ASSERT_TRUE(info.x_auto_lanes.has_value());
  EXPECT_FALSE(info.x_auto_lanes->xbzrle);
  EXPECT_FALSE(info.x_auto_lanes->auto_converge);
}

LaneFigures busy_guest() {
  LaneFigures figures;
  figures.bandwidth = 125'000'000;
  figures.hot_bytes = 256 << 20;
  figures.first_pass_s = 8;
  figures.ram_bytes = 1280 << 20;
  figures.downtime_ms = 300;
  figures.may_throttle = true;
  figures.cache_bytes = 64 << 20;
  return figures;
}

TEST(ChooseLanes, ABusyGuestOverASlowLinkSendsDifferences) {
  const auto choice = choose_lanes(busy_guest());
  EXPECT_TRUE(choice.xbzrle);
  EXPECT_TRUE(choice.auto_converge);
  EXPECT_EQ(choice.xbzrle_cache_size, 256u << 20) << "a quarter of the guest at most";
  EXPECT_EQ(choice.dirty_rate, 32u << 20);
}

TEST(ChooseLanes, WhatFitsIntoTheDowntimeNeedsNothing) {
  LaneFigures figures = busy_guest();
  figures.hot_bytes = 30 << 20;
  const auto choice = choose_lanes(figures);
  EXPECT_FALSE(choice.xbzrle || choice.auto_converge || choice.compress);
}

TEST(ChooseLanes, CompressionHasToBeWorthIt) {
  LaneFigures figures = busy_guest();
  figures.hot_bytes = 0;
  figures.can_compress = true;
  figures.compressibility = 1.2;
  EXPECT_FALSE(choose_lanes(figures).compress);
  figures.compressibility = 1.5;
  EXPECT_TRUE(choose_lanes(figures).compress);
}

TEST(ChooseLanes, WithChannelsThereAreNoDifferences) {
  LaneFigures figures = busy_guest();
  figures.channels = 4;
  figures.may_throttle = false;
  const auto choice = choose_lanes(figures);
  EXPECT_EQ(choice.channels, 4u);
  EXPECT_FALSE(choice.xbzrle || choice.auto_converge);
}

TEST(ChannelTrial, SeveralChannelsHaveToCarryMore) {
  for (const double with_all : {1.0, 1.05, 1.3}) {
    ChannelTrial trial(4);
    bool both = false;
    for (int window = 0; window < 7; ++window) {
      both = both || trial.channels() == 1;
      trial.window_ended(trial.channels() == 1 ? 1.0 : with_all);
    }
    EXPECT_TRUE(both);
    EXPECT_EQ(trial.channels(), with_all > 1.1 ? 4u : 1u);
    EXPECT_EQ(trial.best_bytes_per_ms(), std::max(1.0, with_all));
  }
  ChannelTrial none(0);
  none.window_ended(5);
  EXPECT_EQ(none.channels(), 0u);
  EXPECT_EQ(none.best_bytes_per_ms(), 5);
}

TEST(PageSample, SaysHowWellMemoryCompresses) {
  testing::FakeGuest guest({{"ram", 2000}});
  EXPECT_EQ(sample_compressibility(guest.ram_blocks()), 1) << "all zeros";
  const RamBlock& block = guest.ram_blocks()[0];
  for (std::uint64_t page = 0; page < 2000; page += 3)
    std::memset(block.host + page * page_size, 'a', page_size);
  EXPECT_GT(sample_compressibility(guest.ram_blocks()), 50);
  std::uint32_t x = 1;
  for (std::size_t i = 0; i < block.size; ++i)
    block.host[i] = static_cast<std::byte>((x = x * 1664525 + 1013904223) >> 24);
  EXPECT_NEAR(sample_compressibility(guest.ram_blocks()), 1, 0.01);
}

}  // namespace
}  // namespace godwit::engine
