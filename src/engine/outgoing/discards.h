// What the destination is told to drop before it runs the guest: pages that it has in an older version, or
// not at all (wire-format section 7.4).
#pragma once

#include <span>
#include <vector>

#include <godwit/dirty_bitmap.h>
#include <godwit/ram_block.h>
#include <godwit/stream.h>

namespace godwit::engine {

/// A part of a host page cannot be dropped, nor placed: makes those whole of which `pages` has a part.
void widen_to_host_pages(const RamBlock& block, DirtyBitmap& pages);

/// Of one hand-over. Dropping takes the destination milliseconds, so most of it is said while the guest still
/// runs at the source, and the rest when it has stopped.
class Discards {
 public:
  explicit Discards(std::span<const RamBlock> blocks);

  /// The commands that make the destination drop `missing`, one bitmap per block, without what was said
  /// before.
  void encode(std::span<const DirtyBitmap> missing, Output& out);

 private:
  std::span<const RamBlock> blocks_;
  std::vector<DirtyBitmap> said_;
};

}  // namespace godwit::engine
