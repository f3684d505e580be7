// The destination's side of mapped-ram: pages come from fixed places of a file, in large reads, straight to
// where they belong (wire-format section 16).
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
#include "memory/premap.h"
#include "wire/mapped_ram.h"

namespace godwit::engine {

/// Used by the incoming thread, but for what says otherwise.
class MappedRamReader {
 public:
  /// `threads`: how many read at once. `direct`: past the page cache. `channel` reads the file, and has not
  /// read any of it yet.
  static Result<std::unique_ptr<MappedRamReader>> open(const channel::Channel& channel, unsigned threads,
                                                       bool direct);

  /// Where in the file the stream begins.
  std::uint64_t start() const { return file_->start(); }

  /// Reads the pages that the bitmap names. Pages of `touched` that it does not name become zeros; others are
  /// not looked at. Afterwards `touched` is what was read.
  Result<> load(const RamBlock& block, const wire::MappedRam& place, std::span<const std::uint64_t> bitmap,
                DirtyBitmap& touched);

  /// Ends a load soon; any thread.
  void shutdown() noexcept { stopped_.store(true, std::memory_order_relaxed); }

  /// How many reads were made: what a test wants to know.
  std::uint64_t reads() const { return reads_; }

 private:
  MappedRamReader(std::unique_ptr<channel::PositionedFile> file, unsigned threads)
      : file_(std::move(file)), threads_(threads) {}
  Result<> read(const RamBlock& block, const wire::MappedRam& place, std::span<const PageRange> pieces);
  Result<> read_in_turn(const RamBlock& block, const wire::MappedRam& place,
                        std::span<const PageRange> pieces);
  Result<> read_at_once(const RamBlock& block, const wire::MappedRam& place,
                        std::span<const PageRange> pieces);
  Result<> read_piece(const RamBlock& block, const wire::MappedRam& place, PageRange piece);

  std::unique_ptr<channel::PositionedFile> file_;
  const unsigned threads_;
  memory::Premapper premapper_;
  std::atomic<bool> stopped_{false};
  std::atomic<std::uint64_t> reads_{0};
};

}  // namespace godwit::engine
