// The source's side of section "ram": which pages are dirty, which are next, and how they go out
// (wire-format section 3, control-plane section 10).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <godwit/dirty_tracker.h>
#include <godwit/guest.h>

#include "engine/outgoing/lanes.h"
#include "engine/outgoing/stream_writer.h"
#include "engine/statistics.h"
#include "memory/populated.h"

namespace godwit::engine {

/// How much a slice may send. Asked before each batch.
struct SliceLimits {
  /// Bytes that may still go out; 0 ends the slice.
  std::function<std::uint64_t()> bytes_left;
  /// True ends the slice: the time is up, or somebody wants to cancel.
  std::function<bool()> expired;
};

/// Owned by one outgoing migration and used by its thread.
class RamSaver {
 public:
  RamSaver(std::span<const RamBlock> blocks, DirtyTracker& tracker, Lanes& lanes, RamCounters& counters,
           bool ignore_shared);
  ~RamSaver() { stop(); }
  RamSaver(const RamSaver&) = delete;
  RamSaver& operator=(const RamSaver&) = delete;

  /// Everything is dirty from here on, and every later write is noticed.
  Result<> start();
  /// Ends dirty logging. Harmless when it does not run.
  void stop() noexcept;

  /// The data of SECTION_START: the block list, without the end mark. `host_page_sizes`: with those that are
  /// not the usual one.
  Result<> write_setup(StreamWriter& out, bool host_page_sizes = false);

  /// Collects what the guest wrote since. Returns the number of pages that became dirty.
  Result<std::uint64_t> synchronize();

  /// Collects in the middle of a pass. Returns how many pages that were sent before the guest has written
  /// since the last time. In the first pass, which sends none of them again, those that were known to be
  /// dirty again count too.
  Result<std::uint64_t> look();
  bool first_pass() const { return first_pass_; }

  std::uint64_t remaining_bytes() const { return counters_.dirty_pages * page_size; }

  /// Sends dirty pages until none is left (true) or the limits end the slice (false). Neither writes the
  /// section's header nor its end mark.
  Result<bool> send_slice(StreamWriter& out, const SliceLimits& limits);

  /// For postcopy, with the guest stopped: gives away what is still to be sent, one bitmap per block. Nothing
  /// is sent from here any more. Dirty logging goes on until stop(): ending it takes time that a guest which
  /// stands still does not have, and where it does not run it costs nothing.
  std::vector<DirtyBitmap> hand_over_rest();
  /// What is known to be dirty, one bitmap per block.
  std::span<const DirtyBitmap> dirty() const { return dirty_; }
  /// Everything sent so far is on its way when it returns: the section's end mark may follow.
  Result<> finish_section(StreamWriter& out);

  /// From here on the bytes count as sent with the guest stopped.
  void guest_stopped();
  void count_bytes(std::uint64_t bytes);

 private:
  bool ignored(const RamBlock& block) const { return ignore_shared_ && block.shared; }
  Result<> send_run(StreamWriter& out, std::size_t block_index, PageRange range);
  std::uint64_t sent_pages(std::size_t block) const;
  Result<> wrap_around(StreamWriter& out);
  Result<> prepare(std::size_t block_index, std::uint64_t page);

  std::span<const RamBlock> blocks_;
  DirtyTracker& tracker_;
  Lanes& lanes_;
  RamCounters& counters_;
  const bool ignore_shared_;
  bool tracking_ = false;
  bool guest_stopped_ = false;
  bool handed_over_ = false;
  bool first_pass_ = true;
  std::vector<DirtyBitmap> dirty_;

  /// The first pass asks the kernel, a stretch at a time, which pages hold data at all: the others are zeros,
  /// and are not touched to find out. The answer counts for pages re-armed before the question and until the
  /// next synchronization, so that a page written since is dirty in the tracker and not only in our bitmap.
  std::vector<memory::PopulationProbe> probes_;
  std::size_t prepared_block_ = 0;
  PageRange prepared_;
  DirtyBitmap populated_;  ///< of block prepared_block_

  std::size_t block_ = 0;  ///< where the scan stands
  std::uint64_t page_ = 0;
};

}  // namespace godwit::engine
