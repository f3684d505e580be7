// KVM's memory slots against our blocks: KVM tracks pages per slot, the engine per block.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <godwit/ram_block.h>
#include <godwit/result.h>

namespace godwit::memory {

/// A memory slot as it was given to KVM. Fixed while it is tracked.
struct KvmSlot {
  std::uint32_t id = 0;             ///< with the address space in the upper half, as KVM counts
  std::uint64_t guest_address = 0;  ///< bytes
  std::uint64_t size = 0;           ///< bytes
  std::byte* host = nullptr;
  bool read_only = false;  ///< the guest cannot write there: not tracked

  std::uint64_t pages() const { return size / page_size; }
};

/// Pages slot_page .. slot_page + pages - 1 of slot number `slot` are those of block number `block` from
/// block_page on.
struct SlotPiece {
  std::size_t slot = 0;
  std::uint64_t slot_page = 0;
  std::size_t block = 0;
  std::uint64_t block_page = 0;
  std::uint64_t pages = 0;
};

/// Where slots and blocks meet, by host address, in the order of the slots. A slot may cover part of a block,
/// a block may have several slots or none; read-only slots have no piece.
std::vector<SlotPiece> match_slots(std::span<const KvmSlot> slots, std::span<const RamBlock> blocks);

/// Tells KVM to log writes to this slot, or to end that.
Result<> set_dirty_logging(int vm_fd, const KvmSlot& slot, bool on);

}  // namespace godwit::memory
