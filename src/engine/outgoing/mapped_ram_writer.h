// The source's side of mapped-ram: pages go to fixed places of a file, and a bitmap says which of them are
// there (wire-format section 16).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <godwit/dirty_bitmap.h>
#include <godwit/ram_block.h>
#include <godwit/result.h>

#include "channel/positioned_file.h"
#include "engine/outgoing/packet_writer.h"
#include "engine/outgoing/stream_writer.h"
#include "wire/mapped_ram.h"
#include "wire/ram.h"

namespace godwit::engine {

/// Used by the migration thread, but for what says otherwise.
class MappedRamWriter {
 public:
  /// `blocks` outlives this, and their pages are told by references to its elements. `direct`: past the page
  /// cache.
  MappedRamWriter(std::span<const RamBlock> blocks, bool direct);

  /// `channel` goes to the file, and nothing was written to it yet.
  Result<> open(const channel::Channel& channel);

  /// The list of blocks, each with the room for its bitmap and its pages behind it. The stream goes on behind
  /// the last page area.
  Result<> write_block_list(StreamWriter& out, std::span<const wire::BlockEntry> entries);

  /// The pages are in the file, or will be when it is complete.
  void keep(std::size_t block, PageRange pages) { in_file_[block].set_range(pages); }
  /// They are zeros, whatever the file has in their place.
  void leave_out(std::size_t block, PageRange pages) { in_file_[block].clear_range(pages); }

  /// Any thread. Pages of one call follow each other.
  Result<> write_pages(const RamBlock& block, PageRange pages);

  /// All pages are written: says which.
  Result<> write_bitmaps();

  /// Closes the file: no writes are under way, and none will come.
  void close() noexcept { file_.reset(); }
  /// Writes of pages fail from here on; any thread.
  void shutdown() noexcept { stopped_.store(true, std::memory_order_relaxed); }

 private:
  const std::span<const RamBlock> blocks_;
  const bool direct_;
  std::unique_ptr<channel::PositionedFile> file_;
  std::vector<wire::MappedRam> places_;  ///< of each block
  std::vector<DirtyBitmap> in_file_;
  std::atomic<bool> stopped_{false};
};

/// A channel of multifd without a connection and without packets: its thread writes pages to the file.
class MappedPacketWriter final : public PacketWriter {
 public:
  explicit MappedPacketWriter(MappedRamWriter& file) : file_(file) {}

  Result<Written> write(wire::MultifdPacket& packet, const RamBlock& block) override;
  /// A page that is sent again is so behind the end of its section, when all pages of it are written.
  Result<Written> synchronize(std::uint64_t) override { return Written{}; }
  void shutdown() noexcept override { file_.shutdown(); }

 private:
  MappedRamWriter& file_;
};

}  // namespace godwit::engine
