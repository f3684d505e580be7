#include "memory/uffd_sync_tracker.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/thread.h"
#include "memory/bits.h"
#include "memory/kernel_abi.h"

namespace godwit::memory {
namespace {

/// Maps every page of the block, untouched ones to the shared page of zeros, without writing.
void populate_for_reading(const RamBlock& block) {
  if (::madvise(block.host, block.size, madv_populate_read) == 0) return;
  // Before Linux 5.14: touch each page.
  for (std::uint64_t offset = 0; offset < block.size; offset += page_size)
    static_cast<void>(*reinterpret_cast<const volatile unsigned char*>(block.host + offset));
}

}  // namespace

Result<std::unique_ptr<UffdSyncTracker>> UffdSyncTracker::create(Untouched untouched) {
  GODWIT_ASSIGN(const std::uint64_t supported, Userfault::supported_features());
  const bool populate = untouched == Untouched::populate || !(supported & uffd_feature_wp_unpopulated);
  // Shared memory needs a feature of its own; without it start() fails for shared blocks, and only for them.
  const std::uint64_t features = UFFD_FEATURE_PAGEFAULT_FLAG_WP |
                                 (supported & UFFD_FEATURE_WP_HUGETLBFS_SHMEM) |
                                 (populate ? 0 : uffd_feature_wp_unpopulated);
  GODWIT_TRY(
      Userfault::open(features, Userfault::Reach::everywhere));  // only to know now whether start() can
  return std::unique_ptr<UffdSyncTracker>(new UffdSyncTracker(features, populate));
}

Result<> UffdSyncTracker::start(std::span<const RamBlock> blocks) {
  assert(!userfault_);
  GODWIT_ASSIGN(userfault_, Userfault::open(features_, Userfault::Reach::everywhere));
  tracked_.reserve(blocks.size());
  for (const RamBlock& block : blocks) {
    const auto words = static_cast<std::size_t>((block.pages() + 63) / 64);
    tracked_.push_back({block, std::make_unique<std::atomic<std::uint64_t>[]>(words), words});
  }
  handler_error_.reset();
  wake_.drain();
  // The handler comes first: the first page that is protected may be written to at once.
  handler_ = start_thread(
      "godwit-wp", [this](std::stop_token stop) { handle_faults(std::move(stop)); },
      [this](Error error) {
        const std::lock_guard lock(mutex_);
        handler_error_ = std::move(error);
      });
  auto protected_all = protect_all(blocks);
  if (!protected_all) stop();
  return protected_all;
}

Result<> UffdSyncTracker::protect_all(std::span<const RamBlock> blocks) {
  for (const RamBlock& block : blocks) {
    GODWIT_TRY(userfault_->enlist(block));
    if (populate_) populate_for_reading(block);
    GODWIT_TRY(userfault_->protect_all(block));
  }
  return {};
}

Result<std::uint64_t> UffdSyncTracker::collect(std::span<DirtyBitmap> bitmaps) {
  assert(userfault_ && bitmaps.size() == tracked_.size());
  std::uint64_t fresh = 0;
  for (std::size_t index = 0; index < tracked_.size(); ++index) {
    GODWIT_ASSIGN(const std::uint64_t added, collect_block(tracked_[index], bitmaps[index]));
    fresh += added;
  }
  const std::lock_guard lock(mutex_);
  if (handler_error_) return std::unexpected<Error>(*handler_error_);
  return fresh;
}

Result<std::uint64_t> UffdSyncTracker::collect_block(Tracked& tracked, DirtyBitmap& bitmap) {
  // A word of pages at a time, or all the words of one host page: the lock is never held for long.
  const std::size_t step = std::max<std::size_t>(1, tracked.block.host_page_size / page_size / 64);
  DirtyBitmap taken(tracked.word_count * 64);
  std::uint64_t fresh = 0;
  for (std::size_t first = 0; first < tracked.word_count; first += step) {
    const std::size_t end = std::min(first + step, tracked.word_count);
    const auto words = std::span(tracked.words.get(), tracked.word_count).subspan(first, end - first);
    // What is marked right after this look is found the next time.
    if (std::ranges::all_of(words,
                            [](const auto& word) { return word.load(std::memory_order_relaxed) == 0; }))
      continue;

    const std::lock_guard lock(mutex_);
    for (std::size_t index = first; index < end; ++index)
      taken.words()[index] = tracked.words[index].exchange(0, std::memory_order_relaxed);
    for (PageRange run = taken.next_run(first * 64, ~0ull); run.count != 0;
         run = taken.next_run(run.first + run.count, ~0ull)) {
      GODWIT_TRY(userfault_->protect(tracked.block.host + run.first * page_size, run.count * page_size));
      fresh += merge_run(bitmap, run);
    }
    taken.clear_range({first * 64, (end - first) * 64});
  }
  return fresh;
}

void UffdSyncTracker::handle_faults(std::stop_token stop) {
  std::array<pollfd, 2> waits{{{userfault_->fd(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}}};
  while (!stop.stop_requested()) {
    if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) {
      const std::lock_guard lock(mutex_);
      handler_error_ = system_error("cannot wait for write faults", errno).error();
      return;
    }
    if (!answer_pending()) return;
  }
}

bool UffdSyncTracker::answer_pending() {
  std::array<uffd_msg, 64> messages;
  const ssize_t got = ::read(userfault_->fd(), messages.data(), sizeof messages);
  if (got <= 0) return true;
  const auto count = static_cast<std::size_t>(got) / sizeof(uffd_msg);
  const std::lock_guard lock(mutex_);
  for (const uffd_msg& message : std::span(messages).first(count)) {
    if (message.event != UFFD_EVENT_PAGEFAULT) continue;
    if (auto answered = answer(message.arg.pagefault.address); !answered) {
      // The writer stays stopped until stop() takes all protection away; collect() tells why.
      handler_error_ = std::move(answered).error();
      return false;
    }
  }
  return true;
}

Result<> UffdSyncTracker::answer(std::uint64_t address) {
  for (Tracked& tracked : tracked_) {
    const auto base = reinterpret_cast<std::uintptr_t>(tracked.block.host);
    if (address < base || address - base >= tracked.block.size) continue;
    const std::uint64_t step = tracked.block.host_page_size;
    const std::uint64_t start = (address - base) / step * step;
    const std::uint64_t end = start + step;
    for (std::uint64_t page = start / page_size; page < end / page_size;) {
      const std::uint64_t count = std::min<std::uint64_t>(end / page_size - page, 64 - page % 64);
      tracked.words[page / 64].fetch_or(low_bits(count) << (page % 64), std::memory_order_relaxed);
      page += count;
    }
    return userfault_->unprotect(tracked.block.host + start, step);
  }
  return fail("a write fault at {:#x}, outside of the tracked memory", address);
}

void UffdSyncTracker::stop() noexcept {
  if (!userfault_) return;
  for (const Tracked& tracked : tracked_) userfault_->dismiss(tracked.block);
  handler_.request_stop();
  wake_.wake();
  if (handler_.joinable()) handler_.join();
  tracked_.clear();
  userfault_.reset();
}

}  // namespace godwit::memory
