#include "vm/accel/unicorn/page_walk.h"

#include <cstring>

namespace godwit::vm {
namespace {

constexpr std::uint64_t present = 1 << 0;
constexpr std::uint64_t large = 1 << 7;
constexpr std::uint64_t address_mask = 0x000ffffffffff000;

constexpr std::uint64_t cr4_large_pages = 1 << 4;
constexpr std::uint64_t cr4_wide_entries = 1 << 5;

template <typename Entry>
std::optional<std::uint64_t> read_entry(const MemoryMap& memory, std::uint64_t physical) {
  const auto piece = memory.find(physical, sizeof(Entry));
  if (!piece || piece->bytes.size() < sizeof(Entry)) return std::nullopt;
  Entry entry;
  std::memcpy(&entry, piece->bytes.data(), sizeof entry);
  return entry;
}

/// Entries of 8 bytes: three levels, or four in long mode.
std::optional<std::uint64_t> walk_wide(const CpuState& state, const MemoryMap& memory, std::uint64_t linear) {
  const bool is_long = (state.efer & efer_bit::long_mode_active) != 0;
  std::uint64_t table = state.cr3 & (is_long ? address_mask : 0xffffffe0);
  for (unsigned shift = is_long ? 39 : 30;; shift -= 9) {
    const std::uint64_t index = linear >> shift & (!is_long && shift == 30 ? 3 : 0x1ff);
    const auto entry = read_entry<std::uint64_t>(memory, table + index * 8);
    if (!entry || !(*entry & present)) return std::nullopt;
    const bool can_be_large = shift == 21 || (is_long && shift == 30);
    if (shift == 12 || ((*entry & large) && can_be_large)) {
      const std::uint64_t offset_mask = (std::uint64_t{1} << shift) - 1;
      return (*entry & address_mask & ~offset_mask) | (linear & offset_mask);
    }
    table = *entry & address_mask;
  }
}

/// Entries of 4 bytes.
std::optional<std::uint64_t> walk_narrow(const CpuState& state, const MemoryMap& memory,
                                         std::uint64_t linear) {
  const auto directory =
      read_entry<std::uint32_t>(memory, (state.cr3 & 0xfffff000) + (linear >> 22 & 0x3ff) * 4);
  if (!directory || !(*directory & present)) return std::nullopt;
  if ((*directory & large) && (state.cr4 & cr4_large_pages))
    return (*directory & 0xffc00000) | (*directory >> 13 & 0xff) << 32 | (linear & 0x3fffff);
  const auto page = read_entry<std::uint32_t>(memory, (*directory & 0xfffff000) + (linear >> 12 & 0x3ff) * 4);
  if (!page || !(*page & present)) return std::nullopt;
  return (*page & 0xfffff000) | (linear & 0xfff);
}

}  // namespace

std::optional<std::uint64_t> to_physical(const CpuState& state, const MemoryMap& memory,
                                         std::uint64_t linear) {
  if (!(state.efer & efer_bit::long_mode_active)) linear &= 0xffffffff;
  if (!(state.cr0 & cr0_bit::paging)) return linear;
  return state.cr4 & cr4_wide_entries ? walk_wide(state, memory, linear) : walk_narrow(state, memory, linear);
}

bool read_linear(const CpuState& state, const MemoryMap& memory, std::uint64_t linear,
                 std::span<std::byte> into) {
  for (std::byte& byte : into) {
    const auto physical = to_physical(state, memory, linear++);
    const auto piece = physical ? memory.find(*physical, 1) : std::nullopt;
    if (!piece) return false;
    byte = piece->bytes[0];
  }
  return true;
}

bool write_linear(const CpuState& state, const MemoryMap& memory, std::uint64_t linear,
                  std::span<const std::byte> from) {
  const auto find = [&](std::size_t i) -> std::byte* {
    const auto physical = to_physical(state, memory, linear + i);
    const auto piece = physical ? memory.find(*physical, 1) : std::nullopt;
    return piece ? piece->bytes.data() : nullptr;
  };
  for (std::size_t i = 0; i < from.size(); ++i)
    if (!find(i)) return false;
  for (std::size_t i = 0; i < from.size(); ++i) *find(i) = from[i];
  return true;
}

}  // namespace godwit::vm
