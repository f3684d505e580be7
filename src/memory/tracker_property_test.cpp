// Every tracker, on every kind of memory, against the one thing it is for: a copy that is kept by "collect,
// re-arm, copy what is dirty" ends up equal to the memory.
#include <algorithm>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <vector>

#include "base/testing/not_tested_here.h"
#include "memory/testing/tracker_rig.h"

namespace godwit::memory::testing {
namespace {

/// A failed check leaves by an exception.
class StopAtTheEnd {
 public:
  explicit StopAtTheEnd(DirtyTracker& tracker) : tracker_(tracker) {}
  ~StopAtTheEnd() { tracker_.stop(); }

 private:
  DirtyTracker& tracker_;
};

class Tracker : public ::testing::TestWithParam<RigCase> {
 protected:
  void SetUp() override {
    auto made = GetParam().make();
    if (!made.rig) NOT_TESTED_HERE() << GetParam().name << ": " << made.reason;
    rig_ = std::move(made.rig);
    for (const RamBlock& block : rig_->blocks()) {
      dirty_.emplace_back(block.pages());
      copies_.emplace_back(block.pages());
    }
  }
  void TearDown() override {
    if (rig_) rig_->tracker().stop();
  }

  Result<> start() { return rig_->tracker().start(rig_->blocks()); }
  Result<std::uint64_t> collect() { return rig_->tracker().collect(dirty_); }

  /// What the engine does with a run of dirty pages: re-arm, read, forget.
  Result<> copy(std::size_t block, PageRange run) {
    GODWIT_TRY(rig_->tracker().rearm(block, run, dirty_[block]));
    for (std::uint64_t page = run.first; page < run.first + run.count; ++page)
      copies_[block][page] = counter_of(rig_->blocks()[block], page);
    dirty_[block].clear_range(run);
    return {};
  }

  /// Copies all dirty pages, in runs of at most `limit`.
  Result<> copy_all(std::uint64_t limit) {
    for (std::size_t block = 0; block < dirty_.size(); ++block)
      for (PageRange run = dirty_[block].next_run(0, limit); run.count != 0;
           run = dirty_[block].next_run(run.first + run.count, limit))
        GODWIT_TRY(copy(block, run));
    return {};
  }

  /// The start of a migration: everything is dirty, and everything is copied.
  Result<> start_and_copy_everything() {
    GODWIT_TRY(start());
    for (DirtyBitmap& bitmap : dirty_) bitmap.set_all();
    return copy_all(256);
  }

  std::uint64_t count_dirty() const {
    std::uint64_t total = 0;
    for (const DirtyBitmap& bitmap : dirty_) total += bitmap.count();
    return total;
  }

  /// Pages whose copy is old and that nobody knows to be dirty. Must be none after collect().
  std::vector<std::string> lost_pages() const {
    std::vector<std::string> lost;
    for (const PageId& id : rig_->pages())
      if (!dirty_[id.block].test(id.page) &&
          counter_of(rig_->blocks()[id.block], id.page) != copies_[id.block][id.page])
        lost.push_back("block " + std::to_string(id.block) + " page " + std::to_string(id.page));
    return lost;
  }

  /// How many pages `written` are, counted in whole host pages.
  std::uint64_t widened(std::span<const PageId> written) const {
    std::vector<DirtyBitmap> wide;
    for (const RamBlock& block : rig_->blocks()) wide.emplace_back(block.pages());
    for (const PageId& id : written) {
      const std::uint64_t unit = rig_->blocks()[id.block].host_page_size / page_size;
      wide[id.block].set_range({id.page / unit * unit, unit});
    }
    std::uint64_t total = 0;
    for (const DirtyBitmap& bitmap : wide) total += bitmap.count();
    return total;
  }

  std::vector<PageId> any_pages(std::size_t at_most) const {
    const auto pages = rig_->pages();
    if (GetParam().slow_writes) at_most /= 10;
    std::vector<PageId> chosen;
    for (auto runs = *rc::gen::inRange<int>(1, 6); runs > 0; --runs) {
      // Sometimes neighbours, sometimes far apart.
      const auto first = *rc::gen::inRange<std::size_t>(0, pages.size());
      const auto length = *rc::gen::inRange<std::size_t>(1, at_most / 5);
      const auto stride = *rc::gen::element<std::size_t>(1, 1, 2, 64, 513);
      for (std::size_t n = 0; n < length; ++n) chosen.push_back(pages[(first + n * stride) % pages.size()]);
    }
    return chosen;
  }

  std::unique_ptr<TrackerRig> rig_;
  std::vector<DirtyBitmap> dirty_;                  // one per block
  std::vector<std::vector<std::uint64_t>> copies_;  // the counter of each page, as it was copied last
};

TEST_P(Tracker, FindsEachWrittenPageAndNoOther) {
  ASSERT_TRUE(start_and_copy_everything());
  EXPECT_TRUE(rc::check([this] {
    auto idle = collect();
    RC_ASSERT(idle.has_value());
    RC_ASSERT(*idle == 0u);

    const auto pages = any_pages(400);
    rig_->write(pages);
    const auto found = collect();
    RC_ASSERT(found.has_value());
    for (const PageId& id : pages) RC_ASSERT(dirty_[id.block].test(id.page));
    RC_ASSERT(*found == count_dirty());
    RC_ASSERT(count_dirty() == widened(pages));
    RC_ASSERT(copy_all(*rc::gen::inRange<std::uint64_t>(1, 600)).has_value());
    RC_ASSERT(lost_pages().empty());
  }));
}

TEST_P(Tracker, LosesNothingInAnyOrderOfSteps) {
  EXPECT_TRUE(rc::check([this] {
    const StopAtTheEnd stop(rig_->tracker());
    RC_ASSERT(start().has_value());
    for (DirtyBitmap& bitmap : dirty_) bitmap.set_all();
    for (int steps = *rc::gen::inRange(0, 25); steps > 0; --steps) {
      switch (*rc::gen::inRange(0, 5)) {
        case 0:
        case 1:
          rig_->write(any_pages(200));
          break;
        case 2: {
          RC_ASSERT(collect().has_value());
          RC_ASSERT(lost_pages().empty());
          break;
        }
        case 3: {  // part of what is dirty
          const auto block = *rc::gen::inRange<std::size_t>(0, dirty_.size());
          const auto from = *rc::gen::inRange<std::uint64_t>(0, dirty_[block].pages());
          const auto run = dirty_[block].next_run(from, *rc::gen::inRange<std::uint64_t>(1, 500));
          if (run.count != 0) RC_ASSERT(copy(block, run).has_value());
          break;
        }
        case 4:
          RC_ASSERT(copy_all(*rc::gen::inRange<std::uint64_t>(1, 1000)).has_value());
          break;
      }
    }
    RC_ASSERT(collect().has_value());
    RC_ASSERT(lost_pages().empty());
    RC_ASSERT(copy_all(300).has_value());
    RC_ASSERT(lost_pages().empty());
  }));
}

TEST_P(Tracker, TheCopyEqualsTheMemoryThoughWritersNeverWaited) {
  ASSERT_TRUE(start());
  for (DirtyBitmap& bitmap : dirty_) bitmap.set_all();
  // Some pages are written all the time, spread over everything.
  std::vector<PageId> busy;
  for (std::size_t n = 0; n < rig_->pages().size(); n += 7) busy.push_back(rig_->pages()[n]);
  rig_->start_writing(busy);
  std::uint64_t found = 0;
  // At least this many passes, and until the writers got round.
  for (std::uint64_t pass = 0; pass < 40 || found < busy.size(); ++pass) {
    // Runs of different lengths, so that chunks of trackers are cut differently.
    ASSERT_TRUE(copy_all(1 + pass * 37 % 300));
    const auto fresh = collect();
    ASSERT_TRUE(fresh) << fresh.error().what();
    found += *fresh;
  }
  rig_->stop_writing();

  ASSERT_TRUE(collect());
  EXPECT_EQ(lost_pages(), std::vector<std::string>{});
  ASSERT_TRUE(copy_all(256));
  EXPECT_EQ(lost_pages(), std::vector<std::string>{});
}

TEST_P(Tracker, CanBeStartedAgainAndLeavesNothingBehind) {
  const auto pages = rig_->pages().subspan(0, 300);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(start_and_copy_everything());
    rig_->write(pages);
    ASSERT_TRUE(collect());
    EXPECT_EQ(lost_pages(), std::vector<std::string>{});
    ASSERT_TRUE(copy_all(256));
    rig_->tracker().stop();
    rig_->tracker().stop();  // harmless
    rig_->write(pages);      // nobody looks, nobody waits
  }
}

TEST_P(Tracker, StopsWhileWritersAreBusy) {
  std::vector<PageId> busy(rig_->pages().begin(), rig_->pages().end());
  busy.resize(std::min<std::size_t>(busy.size(), 2000));
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(start_and_copy_everything());
    rig_->start_writing(busy);
    ASSERT_TRUE(collect());
    rig_->tracker().stop();
    rig_->stop_writing();
  }
}

TEST_P(Tracker, KeepsWhatTheBitmapHasAlready) {
  ASSERT_TRUE(start_and_copy_everything());
  ASSERT_TRUE(collect());
  ASSERT_TRUE(copy_all(256));
  dirty_[0].set(100);
  dirty_[0].set(101);
  const PageId page{0, 100};
  rig_->write(std::span(&page, 1));
  const auto found = collect();
  ASSERT_TRUE(found);
  if (rig_->blocks()[0].host_page_size == page_size) {
    EXPECT_EQ(*found, 0u) << "it was dirty before";
  }
  EXPECT_TRUE(dirty_[0].test(100));
  EXPECT_TRUE(dirty_[0].test(101)) << "collect only adds";
}

INSTANTIATE_TEST_SUITE_P(Every, Tracker, ::testing::ValuesIn(all_rigs()),
                         [](const auto& rig) { return rig.param.name; });

}  // namespace
}  // namespace godwit::memory::testing
