// Explicit marks: pages written by somebody the kernel's tracking does not see (devices, the test protocol,
// memory given back), one bit per page.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <godwit/dirty_bitmap.h>
#include <godwit/ram_block.h>

namespace godwit::memory {

class DirtyMarks {
 public:
  /// For these blocks, in this order, which must be the order the trackers are started with.
  explicit DirtyMarks(std::span<const RamBlock> blocks);

  /// Any thread, wait-free, after the write itself: a mark set before the write could be collected before it
  /// and the write would be lost. Does next to nothing while nobody collects. `range` is inside the block.
  void mark(std::size_t block, PageRange range) noexcept {
    // Keeps the compiler from asking before the caller's write; enable() sees to the processors.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (enabled_.load(std::memory_order_relaxed)) set(block, range);
  }

  /// The pages that the bytes offset .. offset + length - 1 of the block touch.
  void mark_bytes(std::size_t block, std::uint64_t offset, std::uint64_t length) noexcept {
    if (length == 0) return;
    const std::uint64_t first = offset / page_size;
    mark(block, {first, (offset + length - 1) / page_size - first + 1});
  }

  /// Forgets all marks and begins to take new ones. A write whose mark comes too early to be kept is visible
  /// to the caller when this returns.
  void enable() noexcept;
  void disable() noexcept { enabled_.store(false, std::memory_order_relaxed); }

  /// Moves the marks into `bitmaps`, one per block. Returns how many of the pages were clean there. One
  /// thread at a time.
  std::uint64_t collect(std::span<DirtyBitmap> bitmaps) noexcept;

 private:
  struct BlockMarks {
    std::unique_ptr<std::atomic<std::uint64_t>[]> words;
    std::size_t count = 0;
    std::uint64_t pages = 0;
  };

  void set(std::size_t block, PageRange range) noexcept;

  std::atomic<bool> enabled_{false};
  std::vector<BlockMarks> blocks_;
};

}  // namespace godwit::memory
