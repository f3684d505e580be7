#include "engine/outgoing/xbzrle_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <rapidcheck/gtest.h>

namespace godwit::engine {
namespace {

TEST(XbzrleCache, APageHasOneSlotAndSharesIt) {
  auto cache = XbzrleCache::make(4 * page_size).value();
  EXPECT_EQ(cache.bytes(), 4 * page_size);
  EXPECT_EQ(cache.find(1, 1), nullptr);
  std::byte* slot = cache.insert(1, 1);
  ASSERT_NE(slot, nullptr);
  slot[0] = std::byte{7};
  EXPECT_EQ(cache.find(1, 1), slot);
  EXPECT_EQ(cache.find(5, 1), nullptr);
  EXPECT_NE(cache.insert(2, 1), slot);
}

TEST(XbzrleCache, AVersionInUseIsNotGivenUp) {
  auto cache = XbzrleCache::make(4 * page_size).value();
  std::byte* slot = cache.insert(1, 5);
  EXPECT_EQ(cache.insert(5, 5), nullptr);
  EXPECT_EQ(cache.insert(5, 6), nullptr);
  EXPECT_EQ(cache.find(1, 6), slot);  // used again
  EXPECT_EQ(cache.insert(5, 7), nullptr);
  EXPECT_EQ(cache.insert(5, 8), slot);
  EXPECT_EQ(cache.find(1, 8), nullptr);
  EXPECT_EQ(cache.insert(5, 8), slot);  // its own, at any time
}

TEST(XbzrleCache, ForgetsOnlyThePage) {
  auto cache = XbzrleCache::make(page_size).value();
  std::byte* slot = cache.insert(3, 1);
  cache.forget(4);
  EXPECT_EQ(cache.find(3, 1), slot);
  cache.forget(3);
  EXPECT_EQ(cache.find(3, 1), nullptr);
  EXPECT_EQ(cache.insert(4, 1), slot);
}

TEST(XbzrleCache, MoreThanThereIsCannotBeHad) {
  const auto cache = XbzrleCache::make(std::uint64_t{1} << 62);
  ASSERT_FALSE(cache);
  EXPECT_THAT(cache.error().what(), ::testing::HasSubstr("No memory for an xbzrle cache of"));
}

RC_GTEST_PROP(XbzrleCache, ASlotNeverShowsAnotherPagesVersion, ()) {
  auto cache = XbzrleCache::make(8 * page_size).value();
  std::map<std::uint64_t, std::uint8_t> stored;  // what was written for each page last
  std::uint64_t pass = 1;
  for (int i = *rc::gen::inRange(1, 200); i > 0; --i) {
    const auto page = *rc::gen::inRange<std::uint64_t>(0, 40);
    const auto value = *rc::gen::arbitrary<std::uint8_t>();
    pass += *rc::gen::inRange<std::uint64_t>(0, 2);
    if (std::byte* found = cache.find(page, pass)) RC_ASSERT(found[0] == std::byte{stored.at(page)});
    if (std::byte* room = cache.insert(page, pass)) {
      room[0] = std::byte{value};
      stored[page] = value;
    }
  }
}

}  // namespace
}  // namespace godwit::engine
