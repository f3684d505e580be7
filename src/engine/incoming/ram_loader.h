// The destination's side of section "ram": pages go from the stream to their place (wire-format section 3).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <godwit/dirty_bitmap.h>
#include <godwit/ram_block.h>
#include <godwit/stream.h>

#include "engine/incoming/decompress_pool.h"
#include "engine/incoming/run_reader.h"
#include "memory/premap.h"
#include "wire/ram.h"

namespace godwit::engine {

class MappedRamReader;
class MultifdReceiver;

/// One per stream; it remembers the last block across sections. One thread, but for what says otherwise.
class RamLoader {
 public:
  RamLoader(std::span<const RamBlock> blocks, bool ignore_shared);

  /// The body of SECTION_START: every block the source has must be here, with the same length.
  /// `host_page_sizes`: the list has them where they are not the usual one.
  Result<> load_setup(Input& in, bool host_page_sizes = false);
  /// The body of a SECTION_PART or SECTION_END, up to and with its end mark.
  Result<> load_pages(Input& in);

  /// Compressed pages are welcome, and decompressed by `threads` threads.
  void accept_compressed(unsigned threads) { decompress_ = std::make_unique<DecompressPool>(threads); }
  /// Pages come over the channels of `multifd` too, which waits where the stream says so.
  void join(MultifdReceiver& multifd) {
    multifd_ = &multifd;
    stop_reading_ahead();  // the channels' threads write to memory meanwhile
  }

  /// The pages are at fixed places of a file, which `file` reads. It outlives this.
  void read_from(MappedRamReader& file) { mapped_ = &file; }

  // ---- For the channels of multifd; any thread.

  Result<wire::KnownBlock> block_for_pages(std::string_view name) const;
  const RamBlock& block(std::uint32_t index) const { return blocks_[index]; }
  /// A page was put there, or is about to be. Counts from the next point of synchronisation on.
  void note_landed(std::uint32_t block, std::uint64_t page);
  static void fill_zero(std::byte* page);

  // ----

  /// From here on somebody looks at the memory while pages arrive, or catches its first touch: a page is
  /// written once it is known where it belongs, and none is touched before.
  void stop_reading_ahead();
  const RunReader& runs() const { return runs_; }

 private:
  const RamBlock* find(std::string_view name) const;
  Result<const RamBlock*> block_of(const wire::BlockEntry& entry) const;
  Result<> load_mapped(Input& in, const RamBlock& block);
  std::uint64_t pages_ahead(const Input& in, std::size_t wanted) const;
  Result<> read_ahead(Input& in, std::span<std::byte> body, std::uint64_t count);
  Result<> place_normal(Input& in, const wire::PageRecord& record);
  Result<> place_zero(const RamBlock& block, const wire::PageRecord& record);
  Result<> place_delta(Input& in, const wire::PageRecord& record);
  Result<> place_compressed(Input& in, const wire::PageRecord& record);
  Result<> settle(const wire::PageRecord& record);
  Result<> end_section(const Input& in);
  Result<> synchronize(const Input& in);

  std::span<const RamBlock> blocks_;
  const bool ignore_shared_;
  bool set_up_ = false;
  /// Pages that may hold something else than zeros. A zero page for one of the others needs no work, and
  /// above all no first touch.
  std::vector<DirtyBitmap> touched_;
  wire::PageReader reader_;
  RunReader runs_;
  bool reads_ahead_ = true;
  memory::Premapper premapper_;

  std::unique_ptr<DecompressPool> decompress_;  ///< null: compressed pages are refused
  MultifdReceiver* multifd_ = nullptr;
  MappedRamReader* mapped_ = nullptr;
  /// The source marks the points of synchronisation by records of their own; else each end mark is one.
  bool flush_records_ = false;
  std::vector<DirtyBitmap> landed_;  ///< by other threads; joins touched_ at each synchronisation
};

}  // namespace godwit::engine
