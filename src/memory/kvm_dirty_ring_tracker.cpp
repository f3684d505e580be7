#include "memory/kvm_dirty_ring_tracker.h"

#include <atomic>
#include <bit>
#include <cassert>
#include <cerrno>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/fail.h"
#include "memory/bits.h"

namespace godwit::memory {
namespace {

int check_extension(int vm_fd, int capability) {
  return ::ioctl(vm_fd, KVM_CHECK_EXTENSION, capability);
}

}  // namespace

std::uint32_t max_dirty_ring_entries(int vm_fd) {
  int bytes = check_extension(vm_fd, KVM_CAP_DIRTY_LOG_RING_ACQ_REL);
  if (bytes <= 0) bytes = check_extension(vm_fd, KVM_CAP_DIRTY_LOG_RING);
  return bytes <= 0 ? 0
                    : static_cast<std::uint32_t>(bytes) / static_cast<std::uint32_t>(sizeof(kvm_dirty_gfn));
}

Result<> enable_dirty_rings(int vm_fd, std::uint32_t entries) {
  const std::uint32_t most = max_dirty_ring_entries(vm_fd);
  if (most == 0) return fail("KVM has no dirty rings here (Linux 5.11 and later have them)");
  if (!std::has_single_bit(entries) || entries > most)
    return fail("a dirty ring has a power of two of entries, at most {}; not {}", most, entries);
  kvm_enable_cap enable{};
  enable.cap = check_extension(vm_fd, KVM_CAP_DIRTY_LOG_RING_ACQ_REL) > 0 ? KVM_CAP_DIRTY_LOG_RING_ACQ_REL
                                                                          : KVM_CAP_DIRTY_LOG_RING;
  enable.args[0] = std::uint64_t{entries} * sizeof(kvm_dirty_gfn);
  if (::ioctl(vm_fd, KVM_ENABLE_CAP, &enable) < 0)
    return system_error(fmt::format("KVM cannot set up dirty rings of {} entries", entries), errno);
  return {};
}

Result<std::unique_ptr<KvmDirtyRingTracker>> KvmDirtyRingTracker::create(int vm_fd, std::uint32_t entries,
                                                                         std::vector<KvmSlot> slots,
                                                                         std::span<const int> vcpu_fds) {
  std::unique_ptr<KvmDirtyRingTracker> tracker(new KvmDirtyRingTracker(vm_fd, entries, std::move(slots)));
  for (const int vcpu_fd : vcpu_fds) {
    auto mapping = Mapping::map(entries * sizeof(kvm_dirty_gfn), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd,
                                std::uint64_t{KVM_DIRTY_LOG_PAGE_OFFSET} * page_size);
    if (!mapping) return std::unexpected<Error>(std::move(mapping).error().in("dirty ring of a vCPU"));
    tracker->rings_.push_back({*std::move(mapping), 0});
  }
  return tracker;
}

Result<> KvmDirtyRingTracker::start(std::span<const RamBlock> blocks) {
  {
    const std::lock_guard lock(mutex_);
    assert(!started_);
    pieces_ = match_slots(slots_, blocks);
    reaped_.clear();
    for (const RamBlock& block : blocks) reaped_.emplace_back(block.pages());
    for (Ring& ring : rings_) ring.written = 0;
    started_ = true;
  }
  auto logging = set_logging(true);
  if (!logging) stop();
  return logging;
}

Result<> KvmDirtyRingTracker::set_logging(bool on) {
  const KvmSlot* last = nullptr;
  for (const SlotPiece& piece : pieces_) {
    const KvmSlot& slot = slots_[piece.slot];
    if (&slot != last) GODWIT_TRY(set_dirty_logging(vm_fd_, slot, on));
    last = &slot;
  }
  return {};
}

Result<> KvmDirtyRingTracker::count_writes(bool on) {
  const std::lock_guard lock(mutex_);
  if (on == counting_) return on ? reap_locked() : Result<>{};
  if (!started_) {
    if (auto logging = log_all(on); !logging) {
      if (on) static_cast<void>(log_all(false));
      return logging;
    }
  }
  counting_ = on;
  return reap_locked();
}

Result<> KvmDirtyRingTracker::log_all(bool on) {
  for (const KvmSlot& slot : slots_)
    if (!slot.read_only) GODWIT_TRY(set_dirty_logging(vm_fd_, slot, on));
  return {};
}

Result<std::uint64_t> KvmDirtyRingTracker::collect(std::span<DirtyBitmap> bitmaps) {
  const std::lock_guard lock(mutex_);
  assert(started_ && bitmaps.size() == reaped_.size());
  GODWIT_TRY(reap_locked());
  std::uint64_t fresh = 0;
  for (std::size_t block = 0; block < reaped_.size(); ++block) {
    const auto words = reaped_[block].words();
    for (std::size_t index = 0; index < words.size(); ++index)
      if (words[index] != 0) fresh += bitmaps[block].merge_word(index, words[index]);
    reaped_[block].clear_all();
  }
  return fresh;
}

Result<> KvmDirtyRingTracker::reap() {
  const std::lock_guard lock(mutex_);
  return reap_locked();
}

Result<> KvmDirtyRingTracker::reap_locked() {
  bool any = false;
  for (Ring& ring : rings_) any |= drain(ring);
  if (!any) return {};
  // Frees the entries and write-protects their pages. A write before this is covered by the mark just taken,
  // because contents are read after collect() returns; a write after it is logged anew.
  if (::ioctl(vm_fd_, KVM_RESET_DIRTY_RINGS) < 0)
    return system_error("KVM cannot reset the dirty rings", errno);
  return {};
}

/// Takes the entries that the kernel has finished. True if there was one.
bool KvmDirtyRingTracker::drain(Ring& ring) {
  auto* entries = reinterpret_cast<kvm_dirty_gfn*>(ring.mapping.data());
  bool any = false;
  for (std::uint32_t looked_at = 0; looked_at < entries_; ++looked_at) {
    kvm_dirty_gfn& entry = entries[ring.next & (entries_ - 1)];
    const std::atomic_ref<std::uint32_t> flags(entry.flags);
    // Acquire: slot and offset were written before the flag. Release: they are read before the kernel reuses
    // them.
    if (flags.load(std::memory_order_acquire) != KVM_DIRTY_GFN_F_DIRTY) break;
    note(entry.slot, entry.offset);
    flags.store(KVM_DIRTY_GFN_F_RESET, std::memory_order_release);
    ++ring.next;
    ++ring.written;
    any = true;
  }
  return any;
}

std::vector<std::uint64_t> KvmDirtyRingTracker::pages_by_vcpu() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::uint64_t> pages;
  for (const Ring& ring : rings_) pages.push_back(ring.written);
  return pages;
}

void KvmDirtyRingTracker::note(std::uint32_t slot_id, std::uint64_t slot_page) {
  for (const SlotPiece& piece : pieces_) {
    if (slots_[piece.slot].id != slot_id || slot_page < piece.slot_page ||
        slot_page - piece.slot_page >= piece.pages)
      continue;
    reaped_[piece.block].set(slot_page - piece.slot_page + piece.block_page);
  }
}

void KvmDirtyRingTracker::stop() noexcept {
  const std::lock_guard lock(mutex_);
  if (!started_) return;
  started_ = false;
  if (counting_) {
    pieces_.clear();
    reaped_.clear();
    return;
  }
  // A slot whose logging cannot be ended costs the guest speed and nothing else, so each is tried.
  for (const KvmSlot& slot : slots_)
    if (!slot.read_only) static_cast<void>(set_dirty_logging(vm_fd_, slot, false));
  pieces_.clear();
  // What is in the rings is of no interest any more, but must not be there at the next start.
  static_cast<void>(reap_locked());
  reaped_.clear();
}

}  // namespace godwit::memory
