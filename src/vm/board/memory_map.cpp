#include "vm/board/memory_map.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>
#include <utility>

namespace godwit::vm {
namespace {

struct Hole {
  std::uint64_t begin, end;
};
constexpr Hole holes[] = {{0xa0000, 0x100000}, {0xfec00000, 0xff000000}};

}  // namespace

MemoryMap::MemoryMap(std::vector<RamSlot> slots) : slots_(std::move(slots)) {
  std::ranges::sort(slots_, {}, &RamSlot::guest_address);
  for (std::size_t i = 1; i < slots_.size(); ++i)
    assert(slots_[i - 1].guest_address + slots_[i - 1].size <= slots_[i].guest_address);
}

std::optional<MemoryMap::Piece> MemoryMap::find(std::uint64_t guest_address, std::uint64_t length) const {
  auto next = std::ranges::upper_bound(slots_, guest_address, {}, &RamSlot::guest_address);
  if (next == slots_.begin()) return std::nullopt;
  const RamSlot& slot = *--next;
  const std::uint64_t offset = guest_address - slot.guest_address;
  if (offset >= slot.size) return std::nullopt;
  return Piece{
      {slot.host + offset, std::min(length, slot.size - offset)}, slot.block, slot.block_offset + offset};
}

void MemoryMap::read(std::uint64_t guest_address, std::span<std::byte> into) const {
  walk(guest_address, into.size(), [&](std::uint64_t done, const Piece* piece, std::uint64_t count) {
    if (piece) {
      copy(into.subspan(done, count), piece->bytes);
    } else {
      std::ranges::fill(into.subspan(done, count), std::byte{0xff});
    }
  });
}

void MemoryMap::copy(std::span<std::byte> to, std::span<const std::byte> from) {
  std::memcpy(to.data(), from.data(), to.size());
}

std::uint64_t MemoryMap::distance_to_ram(std::uint64_t guest_address) const {
  const auto next = std::ranges::upper_bound(slots_, guest_address, {}, &RamSlot::guest_address);
  return next == slots_.end() ? std::numeric_limits<std::uint64_t>::max()
                              : next->guest_address - guest_address;
}

std::vector<RamSlot> pc_memory_layout(std::byte* host, std::uint64_t size) {
  std::vector<RamSlot> slots;
  std::uint64_t begin = 0;
  const auto add_up_to = [&](std::uint64_t end) {
    end = std::min(end, size);
    if (begin < end) slots.push_back({begin, end - begin, host + begin, 0, begin});
  };
  for (const Hole& hole : holes) {
    add_up_to(hole.begin);
    begin = hole.end;
  }
  add_up_to(size);
  return slots;
}

}  // namespace godwit::vm
