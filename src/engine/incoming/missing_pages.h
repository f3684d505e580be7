// Which pages are still at the source, and which of them were asked for. In units of host pages: a huge page
// is missing whole or not at all.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <godwit/dirty_bitmap.h>
#include <godwit/ram_block.h>
#include <godwit/stream.h>

namespace godwit::engine {

/// One thread at a time. Offsets are bytes, multiples of the block's host page size.
class MissingPages {
 public:
  explicit MissingPages(std::span<const RamBlock> blocks);

  /// They are missing from here on. Whole host pages.
  void add(std::size_t block, PageRange range);
  bool none() const { return count_ == 0; }
  std::uint64_t count() const { return count_; }

  bool contains(std::size_t block, std::uint64_t offset) const {
    return missing_[block].test(offset / page_size);
  }
  /// False: it was not missing.
  bool remove(std::size_t block, std::uint64_t offset);

  /// False: it was asked for before.
  bool ask(std::size_t block, std::uint64_t offset) {
    const bool first = asked_[block].set(offset / page_size);
    asked_count_ += first;
    return first;
  }
  bool is_asked(std::size_t block, std::uint64_t offset) const {
    return asked_[block].test(offset / page_size);
  }
  /// Somebody waits for a page that was asked for.
  bool any_asked() const { return asked_count_ != 0; }
  /// Calls `visit(block, offset)` for each page that was asked for and has not come.
  template <typename Visit>
  void for_each_asked(Visit visit) const {
    for (std::size_t block = 0; block < blocks_.size(); ++block)
      for (PageRange run = asked_[block].next_run(0, 1); run.count != 0;
           run = asked_[block].next_run(run.first + 1, 1))
        visit(block, run.first * page_size);
  }

  /// The bitmap of what has been received, as the source asks for it.
  void encode_received(std::size_t block, Output& out) const;

 private:
  std::span<const RamBlock> blocks_;
  std::vector<DirtyBitmap> missing_;
  std::vector<DirtyBitmap> asked_;  ///< the first small page of a host page stands for it
  std::uint64_t count_ = 0;         ///< small pages
  std::uint64_t asked_count_ = 0;   ///< host pages
};

}  // namespace godwit::engine
