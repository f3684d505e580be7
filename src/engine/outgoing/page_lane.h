// How dirty pages leave: plain, as deltas, compressed, over several channels. Which one is chosen once, when
// the migration starts (lanes.h); the page loop hands over runs and does not know.
#pragma once

#include <cstddef>
#include <cstdint>

#include <godwit/dirty_bitmap.h>
#include <godwit/ram_block.h>
#include <godwit/result.h>
#include <godwit/schema/types.h>

#include "engine/outgoing/stream_writer.h"

namespace godwit::engine {

using ZeroPageDetection = schema::ZeroPageDetection;

/// Dirty pages of one block that follow each other, at most PageBatch::capacity. They are re-armed: a write
/// from here on makes a page dirty again.
struct PageRun {
  const RamBlock& block;
  std::size_t block_index;
  PageRange range;
  /// Pages that are clear in it were never touched and are zeros; null: not known of this run.
  const DirtyBitmap* populated = nullptr;

  bool untouched(std::uint64_t page) const { return populated && !populated->test(page); }
};

/// Used by the migration thread, but for what says otherwise. Counts the pages it sends.
class PageLane {
 public:
  virtual ~PageLane() = default;

  /// Sends the pages, or takes them over to send them until the section's end.
  virtual Result<> send(StreamWriter& out, const PageRun& run) = 0;

  /// Called before the end mark of each record of section "ram", and when another lane takes over: all pages
  /// handed over so far have left when it returns.
  virtual Result<> finish_section(StreamWriter& out) {
    (void)out;
    return {};
  }

  /// From here on the guest stands still and each dirty page is sent once.
  virtual void guest_stopped() {}
};

}  // namespace godwit::engine
