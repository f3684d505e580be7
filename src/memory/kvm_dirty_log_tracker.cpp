#include "memory/kvm_dirty_log_tracker.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "base/fail.h"
#include "base/system.h"
#include "memory/bits.h"

namespace godwit::memory {
namespace {

/// Switches manual protection on for the VM if KVM knows it, with all pages dirty at first if it knows that
/// too.
bool enable_manual_protection(int vm_fd) {
  const int known = ::ioctl(vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
  if (known <= 0 || !(known & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)) return false;
  kvm_enable_cap enable{};
  enable.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2;
  enable.args[0] =
      static_cast<std::uint64_t>(known) & (KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
  return ::ioctl(vm_fd, KVM_ENABLE_CAP, &enable) == 0;
}

}  // namespace

Result<std::unique_ptr<KvmDirtyLogTracker>> KvmDirtyLogTracker::create(int vm_fd, std::vector<KvmSlot> slots,
                                                                       Options options) {
  assert(options.chunk_pages > 0 && options.chunk_pages % 64 == 0);
  const bool manual = options.manual && enable_manual_protection(vm_fd);
  return std::unique_ptr<KvmDirtyLogTracker>(
      new KvmDirtyLogTracker(vm_fd, std::move(slots), options, manual));
}

Result<> KvmDirtyLogTracker::start(std::span<const RamBlock> blocks) {
  assert(!started_);
  std::uint64_t most_pages = 0;
  for (const SlotPiece& piece : match_slots(slots_, blocks)) {
    const std::uint64_t pages = slots_[piece.slot].pages();
    most_pages = std::max(most_pages, pages);
    pieces_.push_back({piece, std::vector<bool>((pages + options_.chunk_pages - 1) / options_.chunk_pages)});
  }
  log_.assign((most_pages + 63) / 64, 0);
  to_clear_.assign(options_.chunk_pages / 64, 0);
  started_ = true;
  auto logging = set_logging(true);
  if (!logging) stop();
  return logging;
}

/// On failure the earlier slots are as asked.
Result<> KvmDirtyLogTracker::set_logging(bool on) {
  const KvmSlot* last = nullptr;
  for (const Piece& piece : pieces_) {
    const KvmSlot& slot = slots_[piece.slot];
    if (&slot != last) GODWIT_TRY(set_dirty_logging(vm_fd_, slot, on));
    last = &slot;
  }
  return {};
}

Result<> KvmDirtyLogTracker::read_log(const KvmSlot& slot) {
  kvm_dirty_log request{};
  request.slot = slot.id;
  request.dirty_bitmap = log_.data();
  if (::ioctl(vm_fd_, KVM_GET_DIRTY_LOG, &request) < 0)
    return system_error(fmt::format("KVM cannot give the dirty log of slot {}", slot.id), errno);
  return {};
}

Result<std::uint64_t> KvmDirtyLogTracker::collect(std::span<DirtyBitmap> bitmaps) {
  assert(started_);
  std::uint64_t fresh = 0;
  const KvmSlot* last = nullptr;
  for (Piece& piece : pieces_) {
    const KvmSlot& slot = slots_[piece.slot];
    if (&slot != last) GODWIT_TRY(read_log(slot));
    last = &slot;
    std::fill(piece.rearmed.begin(), piece.rearmed.end(), false);
    fresh += merge_range(bitmaps[piece.block], piece.block_page, log_, piece.slot_page, piece.pages);
  }
  return fresh;
}

Result<> KvmDirtyLogTracker::rearm(std::size_t block, PageRange range, const DirtyBitmap& bitmap) {
  assert(started_);
  if (!manual_) return {};
  for (Piece& piece : pieces_)
    if (piece.block == block) GODWIT_TRY(rearm_piece(piece, range, bitmap));
  return {};
}

Result<> KvmDirtyLogTracker::rearm_piece(Piece& piece, PageRange range, const DirtyBitmap& bitmap) {
  const std::uint64_t first = std::max(range.first, piece.block_page);
  const std::uint64_t end = std::min(range.first + range.count, piece.block_page + piece.pages);
  if (first >= end) return {};
  const std::uint64_t last_chunk = (end - 1 - piece.block_page + piece.slot_page) / options_.chunk_pages;
  for (std::uint64_t chunk = (first - piece.block_page + piece.slot_page) / options_.chunk_pages;
       chunk <= last_chunk; ++chunk) {
    if (!piece.rearmed[chunk]) GODWIT_TRY(rearm_chunk(piece, chunk, bitmap));
    piece.rearmed[chunk] = true;
  }
  return {};
}

/// Clears in KVM's log exactly the pages of the chunk that are set in `bitmap`: those are still to be sent. A
/// page that was written after the last collect and is clean in `bitmap` stays in the log for the next one.
Result<> KvmDirtyLogTracker::rearm_chunk(Piece& piece, std::uint64_t chunk, const DirtyBitmap& bitmap) {
  const KvmSlot& slot = slots_[piece.slot];
  const std::uint64_t first = chunk * options_.chunk_pages;
  const std::uint64_t pages = std::min(options_.chunk_pages, slot.pages() - first);
  std::ranges::fill(to_clear_, 0);
  std::uint64_t any = 0;
  // The slot may reach past the piece, on either side.
  const std::uint64_t end = std::min(first + pages, piece.slot_page + piece.pages);
  for (std::uint64_t page = std::max(first, piece.slot_page); page < end;) {
    const std::uint64_t count = std::min<std::uint64_t>(64 - page % 64, end - page);
    const std::uint64_t dirty = read_bits(bitmap.words(), page - piece.slot_page + piece.block_page, count);
    to_clear_[(page - first) / 64] = dirty << (page % 64);
    any |= dirty;
    page += count;
  }
  if (any == 0) return {};

  kvm_clear_dirty_log request{};
  request.slot = slot.id;
  request.first_page = first;
  request.num_pages = static_cast<std::uint32_t>(pages);
  request.dirty_bitmap = to_clear_.data();
  if (::ioctl(vm_fd_, KVM_CLEAR_DIRTY_LOG, &request) < 0)
    return system_error(fmt::format("KVM cannot clear the dirty log of slot {}, pages {} to {}", slot.id,
                                    first, first + pages - 1),
                        errno);
  return {};
}

void KvmDirtyLogTracker::stop() noexcept {
  if (!started_) return;
  started_ = false;
  // A slot whose logging cannot be ended costs the guest speed and nothing else, so each is tried.
  for (const Piece& piece : pieces_) static_cast<void>(set_dirty_logging(vm_fd_, slots_[piece.slot], false));
  pieces_.clear();
}

}  // namespace godwit::memory
