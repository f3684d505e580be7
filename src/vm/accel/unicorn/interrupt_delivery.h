// Entering an interrupt or exception, which Unicorn does not do: on a CpuState, through the guest's tables.
#pragma once

#include <cstdint>
#include <optional>

#include "vm/accel/cpu_state.h"
#include "vm/board/memory_map.h"

namespace godwit::vm {

struct Interruption {
  std::uint8_t vector = 0;
  bool software = false;  ///< INT n, INT3 or INTO: the gate's privilege counts
  std::optional<std::uint32_t> error_code = std::nullopt;
};

/// Whether the processor pushes an error code for this exception.
bool has_error_code(std::uint8_t vector);

/// Pushes the frame and goes to the handler: through the vector table in real mode, through a gate of the IDT
/// in protected and long mode (stacks of the TSS and the IST included). rip is that of the frame: the next
/// instruction, or the one that failed. False, and nothing is changed, where the processor could not enter
/// the handler either. Task gates and virtual 8086 mode are not built: false.
bool enter_interrupt(CpuState& state, const MemoryMap& memory, const Interruption& what);

}  // namespace godwit::vm
