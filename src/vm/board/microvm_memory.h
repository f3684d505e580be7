// Where a microvm's RAM and BIOS are (x86-machine-state section 1.2).
#pragma once

#include <cstdint>
#include <vector>

#include "vm/accel/accelerator.h"

namespace godwit::vm {

inline constexpr std::uint64_t microvm_low_ram_end = std::uint64_t{3} << 30;
inline constexpr std::uint64_t four_gib = std::uint64_t{4} << 30;

/// RAM is block 0, the BIOS block 1. The end of the BIOS block shows below 1 MiB too, over RAM, which stays
/// part of its block.
std::vector<RamSlot> microvm_memory_layout(std::byte* ram, std::uint64_t ram_size, std::byte* bios,
                                           std::uint64_t bios_size);

}  // namespace godwit::vm
