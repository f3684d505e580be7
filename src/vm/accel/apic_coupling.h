// What a vCPU and its local APIC know about each other, said in all the ways in which the peers want to hear
// it (x86-machine-state sections 3.4 and 3.6).
#pragma once

#include "vm/accel/cpu_state.h"
#include "vm/devices/apic_state.h"

namespace godwit::vm {

/// Before both are saved: a waiting vCPU says so twice, and an interrupt on its way is back where every peer
/// finds it.
void couple_for_saving(CpuState& cpu, ApicState& apic);

/// After one of them was loaded: the start-up state that the two tell together. The APIC is as after reset as
/// long as its own section has not come.
void couple_after_loading(CpuState& cpu, const ApicState& apic);

/// Of x87 and SSE, the XSAVE components that are not as after reset. An interpreting KVM's header leaves some
/// out that are in use, a translator's is of whom it got the guest from, and who loads the state believes it.
std::uint64_t changed_components(const CpuState& state);

/// QEMU's own translator wrote this. It has neither time stamp counter nor XSAVE header, unless the guest
/// came to it from KVM; and it keeps the limit of a segment's descriptor in the flags, which KVM does not.
bool is_from_translator(const CpuState& loaded);

/// Makes what QEMU's translator wrote what everybody else writes: x87 registers in stack order, XSAVE
/// components said to be in use.
void accept_from_translator(CpuState& loaded);

/// The x87 registers as QEMU's translator has them: in physical order. For saving, when the peer is known to
/// be one.
void order_for_translator(CpuState& state);

}  // namespace godwit::vm
