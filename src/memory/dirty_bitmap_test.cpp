#include <algorithm>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <vector>

#include <godwit/dirty_bitmap.h>

namespace godwit {
namespace {

/// What DirtyBitmap must be equal to.
using Model = std::vector<bool>;

void expect_equal(const DirtyBitmap& bitmap, const Model& model) {
  RC_ASSERT(bitmap.pages() == model.size());
  for (std::size_t page = 0; page < model.size(); ++page) RC_ASSERT(bitmap.test(page) == model[page]);
  RC_ASSERT(bitmap.count() == static_cast<std::uint64_t>(std::ranges::count(model, true)));
  if (const auto tail = model.size() % 64; tail != 0) RC_ASSERT(bitmap.words().back() >> tail == 0u);
}

PageRange model_next_run(const Model& model, std::uint64_t from, std::uint64_t limit) {
  std::uint64_t first = from;
  while (first < model.size() && !model[first]) ++first;
  std::uint64_t count = 0;
  while (count < limit && first + count < model.size() && model[first + count]) ++count;
  return {first, count};
}

PageRange any_range(std::uint64_t pages) {
  const auto first = *rc::gen::inRange<std::uint64_t>(0, pages + 1);
  return {first, *rc::gen::inRange<std::uint64_t>(0, pages - first + 1)};
}

RC_GTEST_PROP(DirtyBitmap, EqualsAVectorOfBools, ()) {
  const auto pages = *rc::gen::inRange<std::uint64_t>(0, 400);
  DirtyBitmap bitmap(pages);
  Model model(pages, false);
  const int steps = *rc::gen::inRange(0, 30);
  for (int step = 0; step < steps; ++step) {
    const auto range = any_range(pages);
    const auto begin = model.begin() + static_cast<std::ptrdiff_t>(range.first);
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        bitmap.set_range(range);
        std::fill_n(begin, range.count, true);
        break;
      case 1:
        bitmap.clear_range(range);
        std::fill_n(begin, range.count, false);
        break;
      case 2:
        if (range.first < pages) {
          RC_ASSERT(bitmap.set(range.first) == !model[range.first]);
          model[range.first] = true;
        }
        break;
      case 3:
        if (range.first < pages) {
          // A word of dirt that stays inside the bitmap.
          const std::size_t index = range.first / 64;
          const std::uint64_t inside =
              pages - index * 64 < 64 ? (std::uint64_t{1} << (pages % 64)) - 1 : ~0ull;
          const std::uint64_t dirt = *rc::gen::arbitrary<std::uint64_t>() & inside;
          std::uint64_t fresh = 0;
          for (std::uint64_t bit = 0; bit < 64; ++bit) {
            if (!((dirt >> bit) & 1)) continue;
            fresh += !model[index * 64 + bit];
            model[index * 64 + bit] = true;
          }
          RC_ASSERT(bitmap.merge_word(index, dirt) == fresh);
        }
        break;
    }
    expect_equal(bitmap, model);
  }
}

RC_GTEST_PROP(DirtyBitmap, NextRunFindsWhatTheModelFinds, ()) {
  const auto pages = *rc::gen::inRange<std::uint64_t>(0, 400);
  DirtyBitmap bitmap(pages);
  Model model(pages, false);
  for (int runs = *rc::gen::inRange(0, 8); runs > 0; --runs) {
    const auto range = any_range(pages);
    bitmap.set_range(range);
    std::fill_n(model.begin() + static_cast<std::ptrdiff_t>(range.first), range.count, true);
  }
  const auto from = *rc::gen::inRange<std::uint64_t>(0, pages + 1);
  const auto limit = *rc::gen::element<std::uint64_t>(0, 1, 2, 63, 64, 65, 128, 1000, ~0ull);
  const auto got = bitmap.next_run(from, limit);
  const auto want = model_next_run(model, from, limit);
  RC_ASSERT(got.count == want.count);
  if (want.count != 0) RC_ASSERT(got.first == want.first);
}

TEST(DirtyBitmap, WalkingItRunByRunVisitsEachDirtyPageOnce) {
  DirtyBitmap bitmap(1000);
  bitmap.set_range({0, 1});
  bitmap.set_range({60, 200});
  bitmap.set_range({999, 1});
  std::uint64_t visited = 0;
  for (PageRange run = bitmap.next_run(0, 64); run.count != 0;
       run = bitmap.next_run(run.first + run.count, 64)) {
    EXPECT_LE(run.count, 64u);
    for (std::uint64_t page = run.first; page < run.first + run.count; ++page) EXPECT_TRUE(bitmap.test(page));
    visited += run.count;
  }
  EXPECT_EQ(visited, 202u);
}

TEST(DirtyBitmap, AnEmptyOneHasNoRun) {
  EXPECT_EQ(DirtyBitmap().next_run(0, 10).count, 0u);
  EXPECT_EQ(DirtyBitmap().count(), 0u);
  DirtyBitmap().set_all();
  DirtyBitmap all(129);
  all.set_all();
  EXPECT_EQ(all.next_run(3, 1000), (PageRange{3, 126}));
  EXPECT_EQ(all.next_run(129, 1).count, 0u);
}

}  // namespace
}  // namespace godwit
