// The pages that the destination still misses after the guest has gone there: which they are, and how they go
// out (wire-format sections 7.4 and 7.6). The guest stands still, so each is sent once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <godwit/dirty_bitmap.h>
#include <godwit/ram_block.h>

#include "engine/outgoing/page_batch.h"
#include "engine/outgoing/page_requests.h"
#include "engine/outgoing/stream_writer.h"
#include "engine/statistics.h"
#include "memory/populated.h"

namespace godwit::engine {

/// A connection that carries pages, and what its last page was of: records of the same block do not repeat
/// its name.
struct PageConnection {
  StreamWriter* out = nullptr;
  const RamBlock* last_block = nullptr;
};

/// Used by the migration thread.
class PostcopyPages {
 public:
  /// `missing`: one bitmap per block. A host page of which a part is missing is missing whole from here on.
  /// `release`: give memory back once it was sent.
  PostcopyPages(std::span<const RamBlock> blocks, std::vector<DirtyBitmap> missing, RamCounters& counters,
                bool release);

  bool all_sent() const { return left_ == 0; }
  const DirtyBitmap& missing(std::size_t block) const { return missing_[block]; }
  /// After a reconnection: what the destination says it misses.
  void set_missing(std::size_t block, DirtyBitmap missing);

  /// Sends what was not sent yet of some host pages, in one piece or several. The background goes on behind
  /// them. False: all were sent before.
  Result<bool> send(PageConnection& connection, const WantedPages& wanted);
  /// Sends the next of the rest: `most_pages` small ones, or one host page whole. With `in_pieces` a host
  /// page takes several calls, and pages on another connection may go between them. Not to be called when all
  /// are sent.
  Result<> send_next(PageConnection& connection, std::uint64_t most_pages, bool in_pieces);
  /// A part of one of these was sent by send_next(): the rest has to follow on the same connection.
  bool is_begun(const WantedPages& wanted) const;

 private:
  Result<> send_run(PageConnection& connection, std::size_t block, PageRange run, bool requested);
  bool holds_data(std::size_t block, std::uint64_t page);
  std::uint64_t host_page_pages(std::size_t block) const { return blocks_[block].host_page_size / page_size; }

  std::span<const RamBlock> blocks_;
  std::vector<DirtyBitmap> missing_;
  RamCounters& counters_;
  const bool release_;
  std::uint64_t left_ = 0;  ///< pages
  std::size_t block_ = 0;   ///< where the background stands
  std::uint64_t page_ = 0;
  std::optional<WantedPages> begun_;  ///< the rest of a host page of which a part was sent
  PageBatch batch_;

  /// What the kernel said of a stretch of pages: those that were never touched are zeros, and are not touched
  /// to find out.
  std::vector<memory::PopulationProbe> probes_;
  std::vector<DirtyBitmap> populated_;
  std::vector<DirtyBitmap> probed_;  ///< one bit per stretch
};

}  // namespace godwit::engine
