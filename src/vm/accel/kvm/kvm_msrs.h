// Which model specific register is which member of CpuState (x86-machine-state sections 3.1 and 3.5).
#pragma once

#include <cstdint>
#include <vector>

#include "vm/accel/cpu_state.h"

namespace godwit::vm {

namespace msr {
inline constexpr std::uint32_t tsc = 0x10;
inline constexpr std::uint32_t feature_control = 0x3a;
inline constexpr std::uint32_t tsc_deadline = 0x6e0;
}  // namespace msr

/// One register and where its value is. Exactly one of the pointers is set.
struct MsrPlace {
  std::uint32_t index = 0;
  std::uint64_t* wide = nullptr;
  std::uint32_t* narrow = nullptr;

  std::uint64_t value() const { return wide ? *wide : *narrow; }
  void store(std::uint64_t value) const {
    if (wide) {
      *wide = value;
    } else {
      *narrow = static_cast<std::uint32_t>(value);
    }
  }
};

/// In the order in which they are set. The pointers go into `state`.
std::vector<MsrPlace> msr_places(CpuState& state);

}  // namespace godwit::vm
