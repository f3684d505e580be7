// Dirty tracking by KVM's dirty rings: each vCPU writes the pages it dirties into a ring of its own.
//
// Cheap when few pages of much memory are dirtied: the cost goes with the writes, not with the memory. A vCPU
// whose ring is full leaves the guest (KVM_EXIT_DIRTY_RING_FULL) until somebody calls reap(). Writes that KVM
// interprets are logged one by one even on the same page, so rings should be as large as KVM allows.
//
// With hardware that buffers dirty pages (PML), what a vCPU wrote since it last left the guest comes out
// later: the collect that must have everything is made with the vCPUs out of KVM_RUN, as the last one of a
// migration is.
//
// It does not see writes through the host mapping: combine with DirtyMarks.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include <godwit/dirty_tracker.h>

#include "base/system.h"
#include "memory/kvm_slots.h"

struct kvm_dirty_gfn;

namespace godwit::memory {

/// How many entries a ring of this KVM can have at most; 0 if it has no rings.
std::uint32_t max_dirty_ring_entries(int vm_fd);

/// Gives the VM rings of `entries` (a power of two). Only before the first vCPU is made; KVM's dirty log is
/// not available afterwards.
Result<> enable_dirty_rings(int vm_fd, std::uint32_t entries);

class KvmDirtyRingTracker final : public DirtyTracker {
 public:
  /// For a VM that went through enable_dirty_rings(vm_fd, entries). The descriptors stay the caller's and
  /// open; `vcpu_fds` has all vCPUs.
  static Result<std::unique_ptr<KvmDirtyRingTracker>> create(int vm_fd, std::uint32_t entries,
                                                             std::vector<KvmSlot> slots,
                                                             std::span<const int> vcpu_fds);
  ~KvmDirtyRingTracker() override { stop(); }

  std::string_view name() const override { return "kvm-dirty-ring"; }
  Result<> start(std::span<const RamBlock> blocks) override;
  Result<std::uint64_t> collect(std::span<DirtyBitmap> bitmaps) override;
  void stop() noexcept override;
  std::vector<std::uint64_t> pages_by_vcpu() const override;
  Result<> count_writes(bool on) override;

  /// Empties all rings into the next collect(). For the vCPU threads on KVM_EXIT_DIRTY_RING_FULL, any thread
  /// at any time, also when nothing is tracked. On failure the vCPU cannot go on.
  Result<> reap();

 private:
  /// The ring of one vCPU, shared with the kernel.
  struct Ring {
    Mapping mapping;
    std::uint32_t next = 0;     // index of the entry to look at
    std::uint64_t written = 0;  // pages since start
  };

  KvmDirtyRingTracker(int vm_fd, std::uint32_t entries, std::vector<KvmSlot> slots)
      : vm_fd_(vm_fd), entries_(entries), slots_(std::move(slots)) {}
  Result<> set_logging(bool on);
  Result<> log_all(bool on);
  Result<> reap_locked();
  bool drain(Ring& ring);
  void note(std::uint32_t slot_id, std::uint64_t slot_page);

  const int vm_fd_;
  const std::uint32_t entries_;
  const std::vector<KvmSlot> slots_;
  mutable std::mutex mutex_;  // guards all below
  std::vector<Ring> rings_;
  bool started_ = false;
  bool counting_ = false;  // writes are logged also while nothing is tracked
  std::vector<SlotPiece> pieces_;
  std::vector<DirtyBitmap> reaped_;  // one per block
};

}  // namespace godwit::memory
