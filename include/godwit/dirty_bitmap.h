// One bit per page of one RAM block. Plain data: one thread at a time, no atomics.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace godwit {

/// Pages first .. first + count - 1 of one block.
struct PageRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  bool operator==(const PageRange&) const = default;
};

class DirtyBitmap {
 public:
  DirtyBitmap() = default;
  /// All pages clean.
  explicit DirtyBitmap(std::uint64_t pages) : pages_(pages), words_((pages + 63) / 64, 0) {}

  std::uint64_t pages() const { return pages_; }
  /// Number of dirty pages. Walks the whole bitmap.
  std::uint64_t count() const;
  bool test(std::uint64_t page) const { return (words_[page / 64] >> (page % 64)) & 1; }
  /// True if the page was clean.
  bool set(std::uint64_t page) {
    const std::uint64_t bit = std::uint64_t{1} << (page % 64);
    const bool was_clean = (words_[page / 64] & bit) == 0;
    words_[page / 64] |= bit;
    return was_clean;
  }
  void set_range(PageRange range);
  void clear_range(PageRange range);
  void set_all() { set_range({0, pages_}); }
  void clear_all() { clear_range({0, pages_}); }

  /// The first run of dirty pages at or after `from`, at most `limit` pages long; count 0 when there is none.
  /// Skips clean words whole.
  PageRange next_run(std::uint64_t from, std::uint64_t limit) const;

  /// Bit p of the bitmap is bit p % 64 of word p / 64. Bits past pages() are always 0: who writes through
  /// words() keeps it so.
  std::span<std::uint64_t> words() { return words_; }
  std::span<const std::uint64_t> words() const { return words_; }

  /// Ors a word of freshly dirtied pages in; returns how many of them were clean before.
  std::uint64_t merge_word(std::size_t index, std::uint64_t dirty) {
    const std::uint64_t fresh = dirty & ~words_[index];
    words_[index] |= dirty;
    return static_cast<std::uint64_t>(std::popcount(fresh));
  }

 private:
  std::uint64_t pages_ = 0;
  std::vector<std::uint64_t> words_;
};

}  // namespace godwit
