// The first sector of a disk, and the processor as a BIOS leaves it when it jumps there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include <godwit/result.h>

#include "vm/accel/cpu_state.h"

namespace godwit::vm {

inline constexpr std::size_t sector_size = 512;
inline constexpr std::uint64_t boot_address = 0x7c00;

using Sector = std::array<std::byte, sector_size>;

/// Fails if the image is shorter than a sector or does not end it with the boot signature 55 AA.
Result<Sector> read_boot_sector(const std::string& path);

/// 16-bit real mode at 0000:7c00, data segments 0, dl the first disk, a stack below the sector (command-line
/// section 5).
CpuState booting_cpu();

}  // namespace godwit::vm
