#include "memory/dirty_marks.h"

#include <array>
#include <gtest/gtest.h>
#include <vector>

#include "base/thread.h"
#include "memory/marked_tracker.h"

namespace godwit::memory {
namespace {

/// Blocks that nobody reads or writes.
std::vector<RamBlock> blocks_of(std::initializer_list<std::uint64_t> pages) {
  std::vector<RamBlock> blocks;
  for (const std::uint64_t count : pages) blocks.push_back({.name = "block", .size = count * page_size});
  return blocks;
}

std::vector<DirtyBitmap> bitmaps_for(std::span<const RamBlock> blocks) {
  std::vector<DirtyBitmap> bitmaps;
  for (const RamBlock& block : blocks) bitmaps.emplace_back(block.pages());
  return bitmaps;
}

TEST(DirtyMarks, AreTakenOnlyWhileEnabled) {
  const auto blocks = blocks_of({100});
  DirtyMarks marks(blocks);
  auto bitmaps = bitmaps_for(blocks);
  marks.mark(0, {5, 1});
  EXPECT_EQ(marks.collect(bitmaps), 0u);
  marks.enable();
  marks.mark(0, {6, 1});
  EXPECT_EQ(marks.collect(bitmaps), 1u);
  EXPECT_TRUE(bitmaps[0].test(6));
  EXPECT_FALSE(bitmaps[0].test(5));
  marks.mark(0, {7, 1});
  marks.enable();  // begins anew
  EXPECT_EQ(marks.collect(bitmaps), 0u);
}

TEST(DirtyMarks, RangesCrossWordsAndBytesArePages) {
  const auto blocks = blocks_of({10, 300});
  DirtyMarks marks(blocks);
  auto bitmaps = bitmaps_for(blocks);
  marks.enable();
  marks.mark(1, {60, 200});
  marks.mark(1, {0, 0});
  marks.mark_bytes(0, 2 * page_size - 1, 2);
  marks.mark_bytes(0, 5 * page_size, page_size);
  marks.mark_bytes(0, 9 * page_size, 0);
  EXPECT_EQ(marks.collect(bitmaps), 203u);
  EXPECT_EQ(bitmaps[1].next_run(0, 1000), (PageRange{60, 200}));
  EXPECT_EQ(bitmaps[0].next_run(0, 1000), (PageRange{1, 2}));
  EXPECT_EQ(bitmaps[0].next_run(3, 1000), (PageRange{5, 1}));
  EXPECT_EQ(marks.collect(bitmaps), 0u);
}

TEST(DirtyMarks, CountsOnlyWhatWasClean) {
  const auto blocks = blocks_of({100});
  DirtyMarks marks(blocks);
  auto bitmaps = bitmaps_for(blocks);
  bitmaps[0].set_range({0, 50});
  marks.enable();
  marks.mark(0, {40, 20});
  EXPECT_EQ(marks.collect(bitmaps), 10u);
}

TEST(DirtyMarks, NoneIsLostBetweenThreads) {
  const auto blocks = blocks_of({64});
  DirtyMarks marks(blocks);
  marks.enable();
  constexpr std::uint64_t rounds = 20000;
  std::array<std::atomic<std::uint64_t>, 64> memory{};
  std::array<std::uint64_t, 64> copy{};
  std::atomic<int> running = 3;
  auto writer = [&](std::uint64_t seed) {
    for (std::uint64_t round = 0; round < rounds; ++round) {
      const std::uint64_t page = (seed + round * 7) % 64;
      memory[page].fetch_add(1, std::memory_order_relaxed);
      marks.mark(0, {page, 1});
    }
    --running;
  };
  auto copy_marked = [&] {
    auto bitmaps = bitmaps_for(blocks);
    marks.collect(bitmaps);
    for (std::uint64_t page = 0; page < 64; ++page)
      if (bitmaps[0].test(page)) copy[page] = memory[page].load(std::memory_order_relaxed);
  };
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t n = 0; n < 3; ++n)
      threads.push_back(start_thread("marker", [&, n](std::stop_token) { writer(n * 13); }));
    while (running > 0) copy_marked();
  }
  copy_marked();
  for (std::uint64_t page = 0; page < 64; ++page) EXPECT_EQ(copy[page], memory[page]) << "page " << page;
}

/// Notes what is asked of it.
class Recorder final : public DirtyTracker {
 public:
  std::string calls;
  bool start_fails = false;

  std::string_view name() const override { return "recorder"; }
  Result<> start(std::span<const RamBlock>) override {
    calls += "start ";
    if (start_fails) return fail(Error("no"));
    return {};
  }
  Result<std::uint64_t> collect(std::span<DirtyBitmap> bitmaps) override {
    calls += "collect ";
    return std::uint64_t{bitmaps[0].set(1)};
  }
  Result<> rearm(std::size_t, PageRange, const DirtyBitmap&) override {
    calls += "rearm ";
    return {};
  }
  void stop() noexcept override { calls += "stop "; }
};

TEST(MarkedTracker, MergesBothAndPassesEverythingOn) {
  const auto blocks = blocks_of({10});
  DirtyMarks marks(blocks);
  auto owned = std::make_unique<Recorder>();
  Recorder& inner = *owned;
  MarkedTracker tracker(std::move(owned), marks);
  EXPECT_EQ(tracker.name(), "recorder+marks");
  ASSERT_TRUE(tracker.start(blocks));
  marks.mark(0, {1, 2});
  auto bitmaps = bitmaps_for(blocks);
  EXPECT_EQ(*tracker.collect(bitmaps), 2u);
  ASSERT_TRUE(tracker.rearm(0, {1, 1}, bitmaps[0]));
  tracker.stop();
  EXPECT_EQ(inner.calls, "start collect rearm stop ");
  marks.mark(0, {4, 1});
  EXPECT_EQ(marks.collect(bitmaps), 0u) << "marks are off after stop";
}

TEST(MarkedTracker, TakesNoMarksWhenTheTrackerDoesNotStart) {
  const auto blocks = blocks_of({10});
  DirtyMarks marks(blocks);
  auto owned = std::make_unique<Recorder>();
  owned->start_fails = true;
  MarkedTracker tracker(std::move(owned), marks);
  EXPECT_FALSE(tracker.start(blocks));
  marks.mark(0, {1, 1});
  auto bitmaps = bitmaps_for(blocks);
  EXPECT_EQ(marks.collect(bitmaps), 0u);
}

TEST(MarkedTracker, WorksWithMarksAlone) {
  const auto blocks = blocks_of({10});
  DirtyMarks marks(blocks);
  MarkedTracker tracker(nullptr, marks);
  EXPECT_EQ(tracker.name(), "marks");
  ASSERT_TRUE(tracker.start(blocks));
  marks.mark(0, {3, 1});
  auto bitmaps = bitmaps_for(blocks);
  EXPECT_EQ(*tracker.collect(bitmaps), 1u);
  EXPECT_TRUE(tracker.rearm(0, {3, 1}, bitmaps[0]));
}

}  // namespace
}  // namespace godwit::memory
