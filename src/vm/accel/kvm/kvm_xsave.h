// The vector registers as an XSAVE image in standard form, and back (x86-machine-state section 3.4).
#pragma once

#include <cstdint>

#include "vm/accel/cpu_state.h"
#include "vm/accel/kvm/kvm_abi.h"

namespace godwit::vm {

/// x87, SSE and AVX out of an image.
void unpack_xsave(const abi::Xsave& area, CpuState& state);

/// An image of a state. Of the components that the state says are in use, those in `components` are marked
/// valid.
abi::Xsave pack_xsave(const CpuState& state, std::uint64_t components);

}  // namespace godwit::vm
