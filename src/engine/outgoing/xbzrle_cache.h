// What the destination has of pages that were sent: the versions that deltas start from (wire-format section
// 4.3). Direct-mapped: a page has one slot, and shares it with others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <godwit/ram_block.h>
#include <godwit/result.h>

#include "base/system.h"

namespace godwit::engine {

/// Pages have numbers that are unique over all blocks. `pass` counts synchronisations. One thread.
class XbzrleCache {
 public:
  /// `bytes` is a power of two, a page or more. Takes memory only as it is filled.
  static Result<XbzrleCache> make(std::uint64_t bytes);

  std::uint64_t bytes() const { return versions_.size(); }

  /// The page's version, page_size bytes that may be written; null: it has none. A hit makes it young again.
  std::byte* find(std::uint64_t page, std::uint64_t pass);

  /// Room for a version of the page, which is its own or that of a page that was not used lately; null if the
  /// other one is still in use. The caller fills it.
  std::byte* insert(std::uint64_t page, std::uint64_t pass);

  /// Another page's version is where this one's would be.
  bool taken(std::uint64_t page) {
    const std::uint64_t owner_plus_1 = slot_of(page).page_plus_1;
    return owner_plus_1 != 0 && owner_plus_1 != page + 1;
  }

  /// The destination gets something else than what the cache has of this page.
  void forget(std::uint64_t page);

 private:
  /// All zeros: free, as memory comes from the kernel.
  struct Slot {
    std::uint64_t page_plus_1;
    std::uint64_t used;  ///< pass of the last hit, or of the insertion
  };
  /// A version that was used in this many passes, the current one included, is not given up for another page.
  static constexpr std::uint64_t kept_passes = 2;

  XbzrleCache(Mapping versions, Mapping slots)
      : versions_(std::move(versions)), slots_(std::move(slots)), mask_(versions_.size() / page_size - 1) {}
  Slot& slot_of(std::uint64_t page) { return reinterpret_cast<Slot*>(slots_.data())[page & mask_]; }
  std::byte* version_of(std::uint64_t page) { return versions_.data() + (page & mask_) * page_size; }

  Mapping versions_;
  Mapping slots_;
  std::uint64_t mask_;
};

}  // namespace godwit::engine
