// Which pages did the guest write? One interface over the kernel's several answers.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <godwit/dirty_bitmap.h>
#include <godwit/ram_block.h>
#include <godwit/result.h>

namespace godwit {

/// Threads: start, collect, rearm and stop are called by one thread at a time (the migration thread), while
/// any number of threads write to the memory.
class DirtyTracker {
 public:
  virtual ~DirtyTracker() = default;

  /// For logs: "kvm-dirty-log", "userfault-async", ...
  virtual std::string_view name() const = 0;

  /// Begins tracking. Every write to `blocks` after the return shows in a later collect(). The blocks stay
  /// unchanged until stop().
  virtual Result<> start(std::span<const RamBlock> blocks) = 0;

  /// Adds to `bitmaps` (one per block, in the order of start) every page written since start or since the
  /// page was last collected and re-armed. Returns how many pages became dirty in the bitmaps that were clean
  /// there. A page may be reported again though it was not written since; a written page is never left out.
  virtual Result<std::uint64_t> collect(std::span<DirtyBitmap> bitmaps) = 0;

  /// Called before the contents of dirty pages in `range` of block number `block` are read for sending, with
  /// the bitmap in which they are still set. Trackers that collect without re-arming re-arm exactly those
  /// pages here.
  virtual Result<> rearm(std::size_t block, PageRange range, const DirtyBitmap& bitmap) {
    (void)block, (void)range, (void)bitmap;
    return {};
  }

  /// How many pages each vCPU was found to have written since start, counted anew each time it was found; one
  /// entry per vCPU, also before start. Empty where the tracker cannot tell them apart.
  virtual std::vector<std::uint64_t> pages_by_vcpu() const { return {}; }

  /// With `on`, pages_by_vcpu() grows also while nothing is tracked. Called again, it brings the counts up to
  /// date. Any thread. Where vCPUs cannot be told apart it has no effect.
  virtual Result<> count_writes(bool on) {
    (void)on;
    return {};
  }

  /// Ends tracking; the guest writes at full speed again. Harmless when not started.
  virtual void stop() noexcept = 0;
};

}  // namespace godwit
