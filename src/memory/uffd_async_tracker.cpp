#include "memory/uffd_async_tracker.h"

#include <cassert>
#include <linux/userfaultfd.h>

#include "base/fail.h"
#include "memory/bits.h"
#include "memory/kernel_abi.h"

namespace godwit::memory {
namespace {

constexpr std::uint64_t needed_features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM |
                                          uffd_feature_wp_unpopulated | uffd_feature_wp_async;

// Asynchronous protection never hands a fault out, not even one taken in a system call, so the reach that
// everybody is permitted is enough.
Result<Userfault> open_userfault() {
  return Userfault::open(needed_features, Userfault::Reach::user_mode_suffices);
}

}  // namespace

Result<std::unique_ptr<UffdAsyncTracker>> UffdAsyncTracker::create() {
  GODWIT_ASSIGN(Pagemap pagemap, Pagemap::open());
  GODWIT_TRY(open_userfault());  // only to know now whether start() can
  return std::unique_ptr<UffdAsyncTracker>(new UffdAsyncTracker(std::move(pagemap)));
}

Result<> UffdAsyncTracker::start(std::span<const RamBlock> blocks) {
  assert(!userfault_);
  GODWIT_ASSIGN(userfault_, open_userfault());
  if (auto protected_all = [&]() -> Result<> {
        for (const RamBlock& block : blocks) {
          GODWIT_TRY(userfault_->enlist(block));
          blocks_.push_back(block);
        }
        return protect_all();
      }();
      !protected_all) {
    stop();
    return protected_all;
  }
  return {};
}

Result<> UffdAsyncTracker::protect_all() {
  for (const RamBlock& block : blocks_) GODWIT_TRY(userfault_->protect_all(block));
  return {};
}

Result<std::uint64_t> UffdAsyncTracker::collect(std::span<DirtyBitmap> bitmaps) {
  assert(userfault_ && bitmaps.size() == blocks_.size());
  constexpr PageQuery written_since{.flags = page_scan_wp_matching | page_scan_check_wpasync,
                                    .all_of = page_is_written};
  std::uint64_t fresh = 0;
  for (std::size_t index = 0; index < blocks_.size(); ++index) {
    const auto base = reinterpret_cast<std::uintptr_t>(blocks_[index].host);
    GODWIT_TRY(pagemap_.scan(
        blocks_[index].host, blocks_[index].size, written_since, [&](std::uint64_t start, std::uint64_t end) {
          fresh += merge_run(bitmaps[index], {(start - base) / page_size, (end - start) / page_size});
        }));
  }
  return fresh;
}

void UffdAsyncTracker::stop() noexcept {
  if (!userfault_) return;
  for (const RamBlock& block : blocks_) userfault_->dismiss(block);
  blocks_.clear();
  userfault_.reset();
}

}  // namespace godwit::memory
