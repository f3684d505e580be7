// The states of the kernel's interrupt controllers and timers, to and from those of the stream. Pure: no KVM
// is needed (x86-machine-state sections 3.6 and 4).
#pragma once

#include <cstdint>
#include <linux/kvm.h>

#include "vm/devices/apic_state.h"
#include "vm/devices/ioapic_state.h"
#include "vm/devices/pic_state.h"
#include "vm/devices/pit_state.h"

namespace godwit::vm {

/// `base` is the MSR's value; `now` the virtual clock's, ns, when the registers were read.
ApicState from_kvm(const kvm_lapic_state& from, std::uint64_t base, std::int64_t now);

/// Leaves in `to` what the stream does not carry (the version).
void to_kvm(const ApicState& from, std::int64_t now, kvm_lapic_state& to);

/// What the timer's current count is at `now`. 0: the timer is off, or a single shot is over.
std::uint32_t apic_current_count(const ApicState& state, std::int64_t now);

/// Reads and changes the current count alone.
std::uint32_t kvm_current_count(const kvm_lapic_state& registers);
void set_kvm_current_count(kvm_lapic_state& registers, std::uint32_t count);

IoapicState from_kvm(const kvm_ioapic_state& from);
kvm_ioapic_state to_kvm(const IoapicState& from);

PicState from_kvm(const kvm_pic_state& from);
kvm_pic_state to_kvm(const PicState& from, unsigned which);

/// `kernel_now` is the kernel's monotonic clock at the moment at which the virtual one is `now`; both ns.
PitState from_kvm(const kvm_pit_state2& from, std::int64_t kernel_now, std::int64_t now);
kvm_pit_state2 to_kvm(const PitState& from, std::int64_t kernel_now, std::int64_t now);

}  // namespace godwit::vm
