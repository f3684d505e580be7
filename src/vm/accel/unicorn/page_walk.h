// Linear to guest-physical addresses, for the few instructions that are interpreted here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "vm/accel/cpu_state.h"
#include "vm/board/memory_map.h"

namespace godwit::vm {

/// Whatever kind of paging is on. Nothing where no page is mapped. Checks no access rights.
std::optional<std::uint64_t> to_physical(const CpuState& state, const MemoryMap& memory,
                                         std::uint64_t linear);

/// Reads linear memory; false if some of it is not mapped to RAM.
bool read_linear(const CpuState& state, const MemoryMap& memory, std::uint64_t linear,
                 std::span<std::byte> into);

/// Writes it; false, and nothing is written, if some of it is not mapped to RAM.
bool write_linear(const CpuState& state, const MemoryMap& memory, std::uint64_t linear,
                  std::span<const std::byte> from);

}  // namespace godwit::vm
