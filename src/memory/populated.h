// Which pages of a block hold data at all. A guest rarely touches all of its RAM; pages that were never
// touched are zeros and need not be read to know it, which would also give them page table entries.
#pragma once

#include <cstdint>
#include <optional>

#include <godwit/dirty_bitmap.h>
#include <godwit/ram_block.h>

#include "memory/pagemap.h"

namespace godwit::memory {

/// Answers for one block, as often as wanted. One thread at a time; the guest may run.
///
/// A page that held anything but zeros when the question was asked is always called populated. A page that
/// the guest writes just then may be missed: on a source, start the tracker, re-arm the pages, and ask then,
/// so that the write is found as a dirty page.
class PopulationProbe {
 public:
  /// `block` stays mapped as it is for the life of the probe.
  explicit PopulationProbe(RamBlock block);

  /// False: nothing is known of this kind of memory, find() calls every page populated.
  bool knows() const { return kind_ != Kind::unknown; }

  /// Sets the bits of populated pages in `range`, and clears the other ones there. `populated` is as long as
  /// the block.
  void find(PageRange range, DirtyBitmap& populated);

 private:
  enum class Kind : std::uint8_t {
    unknown,
    anonymous,     ///< private: what is not in the page tables (or swapped out) is zeros
    shared_file,   ///< what is not in the file is zeros
    private_file,  ///< either may hold data
  };

  Kind classify() const;
  // Each of these returns false when it could not find out.
  bool add_from_page_tables(PageRange range, DirtyBitmap& populated);
  bool drop_markers(PageRange range, DirtyBitmap& populated);
  bool add_from_file(PageRange range, DirtyBitmap& populated);

  RamBlock block_;
  std::optional<Pagemap> pagemap_;
  Kind kind_ = Kind::unknown;
};

/// All of a block at once.
DirtyBitmap populated_pages(const RamBlock& block);

}  // namespace godwit::memory
