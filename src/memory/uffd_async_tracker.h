// Dirty tracking by asynchronous userfault write protection (Linux 6.7): the kernel lifts the protection
// itself on the first write, and PAGEMAP_SCAN reports and protects again in one step. Exact, without signals
// or a handler thread; writes inside system calls and by KVM are seen as well.
//
// Costs memory: start() fills in page tables for the whole of the blocks (2 MiB for each GiB never touched),
// and transparent huge pages are split by the first write into them.
//
// What it does not see as a write: memory given back with madvise(MADV_DONTNEED) or a hole punched into the
// file. Who does that to guest memory marks the pages (DirtyMarks).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <godwit/dirty_tracker.h>

#include "memory/pagemap.h"
#include "memory/userfault.h"

namespace godwit::memory {

class UffdAsyncTracker final : public DirtyTracker {
 public:
  /// Fails when the kernel lacks something or does not permit it, and says what.
  static Result<std::unique_ptr<UffdAsyncTracker>> create();
  ~UffdAsyncTracker() override { stop(); }

  std::string_view name() const override { return "userfault-async"; }
  Result<> start(std::span<const RamBlock> blocks) override;
  Result<std::uint64_t> collect(std::span<DirtyBitmap> bitmaps) override;
  void stop() noexcept override;

 private:
  explicit UffdAsyncTracker(Pagemap pagemap) : pagemap_(std::move(pagemap)) {}
  Result<> protect_all();

  Pagemap pagemap_;
  std::optional<Userfault> userfault_;  // while tracking
  std::vector<RamBlock> blocks_;
};

}  // namespace godwit::memory
