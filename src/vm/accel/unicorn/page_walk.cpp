#include "vm/accel/unicorn/page_walk.h"

#include <cstring>

namespace godwit::vm {
namespace {

constexpr std::uint64_t present = 1 << 0;
constexpr std::uint64_t large = 1 << 7;
constexpr std::uint64_t address_mask = 0x000ffffffffff000;

std::optional<std::uint64_t> read_entry(const MemoryMap& memory, std::uint64_t physical) {
  const auto piece = memory.find(physical, sizeof(std::uint64_t));
  if (!piece || piece->bytes.size() < sizeof(std::uint64_t)) return std::nullopt;
  std::uint64_t entry;
  std::memcpy(&entry, piece->bytes.data(), sizeof entry);
  return entry;
}

}  // namespace

std::optional<std::uint64_t> to_physical(const CpuState& state, const MemoryMap& memory,
                                         std::uint64_t linear) {
  if (!(state.cr0 & cr0_bit::paging)) return linear;
  if (!(state.efer & efer_bit::long_mode_active)) return std::nullopt;
  std::uint64_t table = state.cr3 & address_mask;
  for (unsigned shift = 39;; shift -= 9) {
    const auto entry = read_entry(memory, table + (linear >> shift & 0x1ff) * 8);
    if (!entry || !(*entry & present)) return std::nullopt;
    const bool is_page = shift == 12 || ((*entry & large) && shift < 39);
    if (is_page) {
      const std::uint64_t offset_mask = (std::uint64_t{1} << shift) - 1;
      return (*entry & address_mask & ~offset_mask) | (linear & offset_mask);
    }
    table = *entry & address_mask;
  }
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

}  // namespace godwit::vm
