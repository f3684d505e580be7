#include "memory/dirty_marks.h"

#include <algorithm>
#include <cassert>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memory/bits.h"

namespace godwit::memory {
namespace {

void membarrier(int command) noexcept {
  // A kernel or sandbox without it costs nothing but the guarantee against a race of nanoseconds on
  // processors that delay stores; there is no dearer way that is worth having.
  ::syscall(SYS_membarrier, command, 0u, 0);
}

}  // namespace

DirtyMarks::DirtyMarks(std::span<const RamBlock> blocks) {
  for (const RamBlock& block : blocks) {
    const auto words = static_cast<std::size_t>((block.pages() + 63) / 64);
    blocks_.push_back({std::make_unique<std::atomic<std::uint64_t>[]>(words), words, block.pages()});
  }
  membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

void DirtyMarks::enable() noexcept {
  for (BlockMarks& block : blocks_)
    for (std::size_t index = 0; index < block.count; ++index)
      block.words[index].store(0, std::memory_order_relaxed);
  enabled_.store(true, std::memory_order_release);
  // A marker that still saw "disabled" may have its write in flight: every processor finishes its stores
  // here, once, so that markers need no fence of their own.
  membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

void DirtyMarks::set(std::size_t index, PageRange range) noexcept {
  assert(index < blocks_.size());
  BlockMarks& block = blocks_[index];
  assert(range.first <= block.pages && range.count <= block.pages - range.first);
  while (range.count > 0) {
    const std::uint64_t step = std::min<std::uint64_t>(range.count, 64 - range.first % 64);
    // Release: who collects the mark sees the write that came before it.
    block.words[range.first / 64].fetch_or(low_bits(step) << (range.first % 64), std::memory_order_release);
    range = {range.first + step, range.count - step};
  }
}

std::uint64_t DirtyMarks::collect(std::span<DirtyBitmap> bitmaps) noexcept {
  assert(bitmaps.size() == blocks_.size());
  std::uint64_t fresh = 0;
  for (std::size_t index = 0; index < blocks_.size(); ++index) {
    BlockMarks& block = blocks_[index];
    for (std::size_t word = 0; word < block.count; ++word) {
      // Marks are rare: a look is cheaper than an exchange, and one that comes too late is found the next
      // time.
      if (block.words[word].load(std::memory_order_relaxed) == 0) continue;
      fresh += bitmaps[index].merge_word(word, block.words[word].exchange(0, std::memory_order_acquire));
    }
  }
  return fresh;
}

}  // namespace godwit::memory
