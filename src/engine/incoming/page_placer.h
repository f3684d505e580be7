// Takes the pages of one channel in postcopy and puts them in their place, huge pages whole (wire-format
// section 7.6).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <godwit/ram_block.h>
#include <godwit/stream.h>

#include "engine/incoming/missing_pages.h"
#include "memory/postcopy_memory.h"
#include "wire/compress.h"
#include "wire/ram.h"

namespace godwit::engine {

/// One per channel. One thread.
class PagePlacer {
 public:
  /// Told of each host page that is there now.
  using Placed = std::function<void(std::size_t block, std::uint64_t offset)>;

  PagePlacer(std::span<const RamBlock> blocks, memory::PostcopyMemory& memory, MissingPages& missing,
             Placed placed);

  /// The body of one page record. A page that is not missing is read and dropped: the guest may have written
  /// to its own.
  Result<> take(Input& in, const wire::PageRecord& record);

  /// The connection is lost: what there is of a huge page is not of any use.
  void drop_partial() { collected_ = 0; }

 private:
  Result<> take_small(Input& in, const wire::PageRecord& record);
  Result<> take_part(Input& in, const wire::PageRecord& record);
  Result<> read_into(std::byte* page, Input& in, const wire::PageRecord& record);
  void done(std::size_t block, std::uint64_t offset);

  std::span<const RamBlock> blocks_;
  memory::PostcopyMemory& memory_;
  MissingPages& missing_;
  Placed placed_;
  std::vector<std::byte> buffer_;  ///< a huge page, or a small one that does not come as it is
  std::optional<wire::PageDecompressor> decompressor_;  ///< once a source with `compress` sends such a page
  std::size_t collecting_block_ = 0;
  std::uint64_t collecting_ = 0;  ///< offset of the huge page that is being collected
  std::uint64_t collected_ = 0;   ///< small pages of it
  bool all_zero_ = false;
  std::uint64_t unwanted_ = 0;  ///< pages that were not missing
};

}  // namespace godwit::engine
