#include "vm/board/microvm_memory.h"

#include <algorithm>

namespace godwit::vm {
namespace {

constexpr std::uint64_t most_aliased = 128 * 1024;
constexpr std::uint64_t alias_end = 1 << 20;

}  // namespace

std::vector<RamSlot> microvm_memory_layout(std::byte* ram, std::uint64_t ram_size, std::byte* bios,
                                           std::uint64_t bios_size) {
  const std::uint64_t aliased = std::min(bios_size, most_aliased);
  const std::uint64_t low = std::min(ram_size, microvm_low_ram_end);
  std::vector<RamSlot> slots;
  const auto add_ram = [&](std::uint64_t guest_address, std::uint64_t begin, std::uint64_t end) {
    if (begin < end) slots.push_back({guest_address, end - begin, ram + begin, 0, begin});
  };
  add_ram(0, 0, std::min(low, alias_end - aliased));
  slots.push_back({alias_end - aliased, aliased, bios + (bios_size - aliased), 1, bios_size - aliased});
  add_ram(alias_end, alias_end, low);
  slots.push_back({four_gib - bios_size, bios_size, bios, 1, 0});
  add_ram(four_gib, low, ram_size);
  return slots;
}

}  // namespace godwit::vm
