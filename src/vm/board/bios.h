// The BIOS image of -bios: read and checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <godwit/result.h>

namespace godwit::vm {

inline constexpr std::uint64_t bios_granule = 64 * 1024;             ///< its size is a multiple of this
inline constexpr std::uint64_t most_bios = std::uint64_t{16} << 20;  ///< bytes; what fits above the APICs

Result<std::vector<std::byte>> read_bios(const std::string& path);

}  // namespace godwit::vm
