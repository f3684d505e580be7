#include "memory/kvm_slots.h"

#include <algorithm>
#include <cerrno>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "base/fail.h"
#include "base/system.h"

namespace godwit::memory {

std::vector<SlotPiece> match_slots(std::span<const KvmSlot> slots, std::span<const RamBlock> blocks) {
  std::vector<SlotPiece> pieces;
  for (std::size_t slot = 0; slot < slots.size(); ++slot) {
    if (slots[slot].read_only) continue;
    const auto slot_start = reinterpret_cast<std::uintptr_t>(slots[slot].host);
    for (std::size_t block = 0; block < blocks.size(); ++block) {
      const auto block_start = reinterpret_cast<std::uintptr_t>(blocks[block].host);
      const auto start = std::max(slot_start, block_start);
      const auto end = std::min(slot_start + slots[slot].size, block_start + blocks[block].size);
      if (start >= end) continue;
      pieces.push_back({.slot = slot,
                        .slot_page = (start - slot_start) / page_size,
                        .block = block,
                        .block_page = (start - block_start) / page_size,
                        .pages = (end - start) / page_size});
    }
  }
  return pieces;
}

Result<> set_dirty_logging(int vm_fd, const KvmSlot& slot, bool on) {
  kvm_userspace_memory_region region{};
  region.slot = slot.id;
  region.flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0;
  region.guest_phys_addr = slot.guest_address;
  region.memory_size = slot.size;
  region.userspace_addr = reinterpret_cast<std::uintptr_t>(slot.host);
  if (::ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
    return system_error(fmt::format("KVM cannot {} the dirty log of slot {} at guest address {:#x}",
                                    on ? "start" : "end", slot.id, slot.guest_address),
                        errno);
  return {};
}

}  // namespace godwit::memory
