// The instructions on the way into long mode and down to ring 3, which Unicorn cannot execute: it emulates
// either a processor that never leaves 64-bit mode or one that never enters it. They are interpreted here, on
// a CpuState.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "vm/accel/cpu_state.h"
#include "vm/board/memory_map.h"

namespace godwit::vm {

/// Whether the vCPU executes 64-bit code.
bool is_64_bit_code(const CpuState& state);
/// Long mode, but 16-bit or 32-bit code: what Unicorn has no engine for.
bool is_compatibility_code(const CpuState& state);

/// Executes the instruction at rip if it is one of these: RDMSR and WRMSR of EFER, MOV to CR0 that activates
/// long mode, in long mode outside of 64-bit code JMP short and far JMP, SYSRET. False, and nothing is
/// changed, if it is another.
bool interpret_system_instruction(CpuState& state, const MemoryMap& memory);

/// Where in code outside of 64-bit mode one of these may begin, at or after `from`: true also of bytes that
/// only look so. Nothing if nowhere.
std::optional<std::size_t> find_system_instruction(std::span<const std::byte> code, std::size_t from);

/// A segment as a descriptor says.
Segment segment_of_descriptor(std::uint16_t selector, std::uint64_t descriptor);
/// The descriptor that gives a segment its hidden state (base below 4 GiB).
std::uint64_t descriptor_of_segment(const Segment& segment);

}  // namespace godwit::vm
