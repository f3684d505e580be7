#include "vm/accel/apic_coupling.h"

#include <gtest/gtest.h>

namespace godwit::vm {
namespace {

TEST(CoupleForSaving, AWaitingProcessorSaysSoInAllWays) {
  CpuState cpu = reset_cpu(1);
  ApicState apic = reset_apic(1);
  apic.wait_for_sipi = 0;  // as the kernel's has it
  cpu.halted = 0;
  couple_for_saving(cpu, apic);
  EXPECT_EQ(cpu.mp_state, mp_state::uninitialized);
  EXPECT_EQ(cpu.halted, 1u);
  EXPECT_EQ(apic.wait_for_sipi, 1);

  cpu = reset_cpu(0);
  cpu.mp_state = mp_state::halted;
  couple_for_saving(cpu, apic);
  EXPECT_EQ(cpu.halted, 1u);
  EXPECT_EQ(apic.wait_for_sipi, 0);
}

TEST(CoupleForSaving, AnInterruptOnItsWayIsPending) {
  CpuState cpu = reset_cpu(0);
  ApicState apic = reset_apic(0);
  cpu.interrupt_injected = 0x41;
  apic.in_service[2] = 1u << 1 | 1u << 5;
  couple_for_saving(cpu, apic);
  EXPECT_EQ(cpu.interrupt_injected, -1);
  EXPECT_EQ(apic.in_service[2], 1u << 5);
  EXPECT_EQ(apic.requested[2], 1u << 1);
  EXPECT_EQ(cpu.interrupt_request, 0x10u) << "a translator looks only then";
}

TEST(CoupleForSaving, AnInterruptOfThePicStaysWhereItIs) {
  CpuState cpu = reset_cpu(0);
  ApicState apic = reset_apic(0);
  cpu.interrupt_injected = 0x41;
  couple_for_saving(cpu, apic);
  EXPECT_EQ(cpu.interrupt_injected, 0x41);
  EXPECT_EQ(cpu.interrupt_request, 0u);
}

TEST(CoupleAfterLoading, HaltedIsWaitingWhenTheApicSaysSo) {
  CpuState cpu = reset_cpu(0);
  cpu.halted = 1;  // as a translator sends it, with mp_state 0
  ApicState apic = reset_apic(1);
  CpuState waiting = cpu;
  couple_after_loading(waiting, apic);
  EXPECT_EQ(waiting.mp_state, mp_state::uninitialized);
  apic.wait_for_sipi = 0;
  couple_after_loading(cpu, apic);
  EXPECT_EQ(cpu.mp_state, mp_state::halted);
}

TEST(CoupleAfterLoading, ARunningOneRuns) {
  CpuState cpu = reset_cpu(0);
  couple_after_loading(cpu, reset_apic(1));
  EXPECT_EQ(cpu.mp_state, mp_state::runnable);
}

CpuState with_stack_of(unsigned top) {
  CpuState state;
  state.fpu_status = static_cast<std::uint16_t>(top << 11);
  for (unsigned i = 0; i < 8; ++i) state.fpu[i].mantissa = i;
  return state;
}

TEST(Translator, IsKnownByWhatItLeavesOut) {
  CpuState state;
  EXPECT_TRUE(is_from_translator(state));
  state.tsc_khz = 1;
  EXPECT_FALSE(is_from_translator(state));
  state = {};
  state.xstate_bv = 2;
  EXPECT_FALSE(is_from_translator(state));
  state.segments[cs].flags = 0xaf9b00;  // it came from KVM and goes on
  EXPECT_TRUE(is_from_translator(state));
  state.segments[cs].flags = 0xa09b00;
  EXPECT_FALSE(is_from_translator(state));
}

TEST(Translator, HasItsRegistersInPhysicalOrder) {
  CpuState state = with_stack_of(6);
  accept_from_translator(state);
  EXPECT_EQ(state.fpu[0].mantissa, 6u) << "st(0) is register 6";
  EXPECT_EQ(state.fpu[2].mantissa, 0u);
  EXPECT_EQ(state.xstate_bv, 3u);
  order_for_translator(state);
  for (unsigned i = 0; i < 8; ++i) EXPECT_EQ(state.fpu[i].mantissa, i);
}

TEST(ChangedComponents, AreThoseWithAValueOfTheirOwn) {
  CpuState state;
  EXPECT_EQ(changed_components(state), 0u);
  state.fpu_status = 0x3000;
  EXPECT_EQ(changed_components(state), 1u);
  state.xmm[15].low = 1;
  EXPECT_EQ(changed_components(state), 3u);
}

TEST(Translator, SaysThatAvxIsInUseOnlyWhereThereIsAvx) {
  CpuState state = with_stack_of(0);
  state.xcr0 = 7;
  accept_from_translator(state);
  EXPECT_EQ(state.xstate_bv, 7u);
}

}  // namespace
}  // namespace godwit::vm
