#include "vm/accel/apic_coupling.h"

#include <algorithm>

namespace godwit::vm {
namespace {

/// cpu_common's interrupt_request: look at the APIC again.
constexpr std::uint32_t poll_apic = 1u << 4;

constexpr std::uint64_t x87 = 1, sse = 2, avx = 4;

/// Of a segment's flags: bits 16 to 19 of the limit, as in the descriptor.
constexpr std::uint32_t descriptor_limit = 0xf0000;

unsigned top_of_stack(const CpuState& state) {
  return state.fpu_status >> 11 & 7;
}

bool waits_for_start_up(const CpuState& cpu) {
  return cpu.mp_state == mp_state::uninitialized || cpu.mp_state == mp_state::init_received;
}

/// An interrupt that the APIC gave to the vCPU and the vCPU has not begun yet. One of the PIC's is not in the
/// APIC and stays.
void put_back_injected(CpuState& cpu, ApicState& apic) {
  if (cpu.interrupt_injected < 0 || cpu.soft_interrupt) return;
  const auto vector = static_cast<std::uint32_t>(cpu.interrupt_injected);
  const std::uint32_t bit = 1u << vector % 32;
  if (!(apic.in_service[vector / 32] & bit)) return;
  apic.in_service[vector / 32] &= ~bit;
  apic.requested[vector / 32] |= bit;
  cpu.interrupt_injected = -1;
}

}  // namespace

void couple_for_saving(CpuState& cpu, ApicState& apic) {
  const bool waits = waits_for_start_up(cpu);
  cpu.halted = waits || cpu.mp_state == mp_state::halted || cpu.halted;
  apic.wait_for_sipi = waits;
  put_back_injected(cpu, apic);
  if (std::ranges::any_of(apic.requested, [](std::uint32_t word) { return word != 0; }))
    cpu.interrupt_request |= poll_apic;
}

void couple_after_loading(CpuState& cpu, const ApicState& apic) {
  if (cpu.mp_state != mp_state::runnable && cpu.mp_state != mp_state::halted) return;
  if (!cpu.halted) return;
  cpu.mp_state = apic.wait_for_sipi ? mp_state::uninitialized : mp_state::halted;
}

std::uint64_t changed_components(const CpuState& state) {
  const CpuState initial;
  std::uint64_t changed = 0;
  if (state.fpu_control != initial.fpu_control || state.fpu_status != initial.fpu_status ||
      state.fpu_tags != initial.fpu_tags || state.fpu != initial.fpu)
    changed |= x87;
  if (state.mxcsr != initial.mxcsr || state.xmm != initial.xmm) changed |= sse;
  return changed;
}

bool is_from_translator(const CpuState& loaded) {
  if (loaded.tsc == 0 && loaded.tsc_khz == 0 && loaded.xstate_bv == 0) return true;
  return std::ranges::any_of(loaded.segments,
                             [](const Segment& segment) { return (segment.flags & descriptor_limit) != 0; });
}

void accept_from_translator(CpuState& loaded) {
  const auto physical = loaded.fpu;
  for (unsigned i = 0; i < physical.size(); ++i)
    loaded.fpu[i] = physical[(i + top_of_stack(loaded)) % physical.size()];
  loaded.xstate_bv = x87 | sse | (loaded.xcr0 & avx);
  loaded.kvm_poll_control = 1;  // what KVM has after reset; a translator sends 0, and knows no such register
}

void order_for_translator(CpuState& state) {
  const auto stack = state.fpu;
  for (unsigned i = 0; i < stack.size(); ++i) state.fpu[(i + top_of_stack(state)) % stack.size()] = stack[i];
}

}  // namespace godwit::vm
