// Dirty tracking by KVM's dirty log: one bitmap per memory slot.
//
// With manual protection (KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, Linux 5.5; all dirty at first: 5.7) starting
// costs nothing, collecting is a copy of bits, and pages are write-protected again piece by piece in rearm(),
// shortly before they are sent. Without, collecting clears and protects everything at once.
//
// KVM logs what vCPUs write, and what KVM itself writes for them. It does not see writes through the host
// mapping (devices, the test protocol): combine with DirtyMarks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <godwit/dirty_tracker.h>

#include "memory/kvm_slots.h"

namespace godwit::memory {

class KvmDirtyLogTracker final : public DirtyTracker {
 public:
  struct Options {
    /// Pages that one rearm() protects at a time; a multiple of 64. Larger: fewer calls, but writers wait
    /// longer for each, and a page is protected longer before it is sent, so more of them fault twice.
    std::uint64_t chunk_pages = 16 * 1024 * 1024 / page_size;
    /// Use manual protection where KVM has it.
    bool manual = true;
  };

  /// `vm_fd` stays the caller's and open. `slots`: all slots of the VM that lie in tracked blocks; the vector
  /// may not change in KVM while tracking runs. Fails if KVM cannot log.
  static Result<std::unique_ptr<KvmDirtyLogTracker>> create(int vm_fd, std::vector<KvmSlot> slots,
                                                            Options options);
  static Result<std::unique_ptr<KvmDirtyLogTracker>> create(int vm_fd, std::vector<KvmSlot> slots) {
    return create(vm_fd, std::move(slots), Options());
  }
  ~KvmDirtyLogTracker() override { stop(); }

  std::string_view name() const override { return manual_ ? "kvm-dirty-log" : "kvm-dirty-log-plain"; }
  Result<> start(std::span<const RamBlock> blocks) override;
  /// With manual protection, pages that were never re-armed are reported each time.
  Result<std::uint64_t> collect(std::span<DirtyBitmap> bitmaps) override;
  Result<> rearm(std::size_t block, PageRange range, const DirtyBitmap& bitmap) override;
  void stop() noexcept override;

 private:
  /// Part of a slot that lies in a tracked block.
  struct Piece : SlotPiece {
    std::vector<bool> rearmed;  // by chunk of the slot: since the last collect
  };

  KvmDirtyLogTracker(int vm_fd, std::vector<KvmSlot> slots, Options options, bool manual)
      : vm_fd_(vm_fd), slots_(std::move(slots)), options_(options), manual_(manual) {}
  Result<> set_logging(bool on);
  Result<> read_log(const KvmSlot& slot);
  Result<> rearm_piece(Piece& piece, PageRange range, const DirtyBitmap& bitmap);
  Result<> rearm_chunk(Piece& piece, std::uint64_t chunk, const DirtyBitmap& bitmap);

  const int vm_fd_;
  const std::vector<KvmSlot> slots_;
  const Options options_;
  const bool manual_;
  bool started_ = false;
  std::vector<Piece> pieces_;            // while tracking
  std::vector<std::uint64_t> log_;       // of one slot, as KVM gave it
  std::vector<std::uint64_t> to_clear_;  // the bits of one chunk
};

}  // namespace godwit::memory
