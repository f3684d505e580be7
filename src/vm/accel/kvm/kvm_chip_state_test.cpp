#include "vm/accel/kvm/kvm_chip_state.h"

#include <cstring>
#include <gtest/gtest.h>

namespace godwit::vm {
namespace {

constexpr std::int64_t ms = 1'000'000;

/// A periodic timer of 10 ms whose next tick is at 107 ms.
ApicState ticking() {
  ApicState state = reset_apic(1);
  state.wait_for_sipi = 0;
  state.arbitration_id = 3;
  state.task_priority = 0x20;
  state.spurious_vector = 0x1ff;
  state.logical_destination = 2;
  state.in_service[1] = 0x80000001;
  state.requested[7] = 0x40000000;
  state.level_triggered[2] = 0x10;
  state.lvt[ApicState::timer] = 0x20040;
  state.lvt[ApicState::lint0] = 0x700;
  state.error_status = 0x80;
  state.interrupt_command = {0x4500, 0x1000000};
  state.divide_configuration = 0xb;
  state.count_shift = 0;
  state.initial_count = 10 * ms;
  state.next_time = state.timer_expiry = 107 * ms;
  state.initial_count_load_time = state.next_time - apic_period_ns(state);
  return state;
}

std::uint32_t word(const kvm_lapic_state& registers, unsigned offset) {
  std::uint32_t value = 0;
  std::memcpy(&value, registers.regs + offset, sizeof value);
  return value;
}

TEST(KvmApic, ComesBackAsItWent) {
  const ApicState state = ticking();
  kvm_lapic_state registers{};
  to_kvm(state, 100 * ms, registers);
  EXPECT_EQ(word(registers, 0x20), 1u << 24);
  EXPECT_EQ(word(registers, 0xe0), 0xffffffffu);
  EXPECT_EQ(word(registers, 0x390), 7u * ms) << "what is left of the period";
  EXPECT_EQ(from_kvm(registers, state.base, 100 * ms), state);
}

TEST(KvmApic, ItsVersionStays) {
  kvm_lapic_state registers{};
  registers.regs[0x30] = 0x14;
  to_kvm(ticking(), 0, registers);
  EXPECT_EQ(registers.regs[0x30], 0x14);
}

TEST(KvmApic, InX2apicModeTheIdIsWhole) {
  ApicState state = reset_apic(3);
  state.base |= ApicState::base_x2apic;
  kvm_lapic_state registers{};
  to_kvm(state, 0, registers);
  EXPECT_EQ(word(registers, 0x20), 3u);
  EXPECT_EQ(from_kvm(registers, state.base, 0).id, 3);
}

TEST(ApicCount, AnOverdueTickIsDueAtOnce) {
  EXPECT_EQ(apic_current_count(ticking(), 200 * ms), 1u);
}

TEST(ApicCount, IsNeverMoreThanThePeriod) {
  EXPECT_EQ(apic_current_count(ticking(), 0), 10u * ms);
}

TEST(ApicCount, AMaskedTimerCountsOn) {
  ApicState state = ticking();
  state.lvt[ApicState::timer] |= ApicState::lvt_masked;
  state.timer_expiry = ApicState::not_armed;
  state.initial_count_load_time = 0;
  EXPECT_EQ(apic_current_count(state, 3 * ms), 7u * ms);
  kvm_lapic_state registers{};
  to_kvm(state, 3 * ms, registers);
  EXPECT_EQ(from_kvm(registers, state.base, 3 * ms).timer_expiry, ApicState::not_armed);
}

TEST(ApicCount, ASingleShotEnds) {
  ApicState state = ticking();
  state.lvt[ApicState::timer] = 0x40;
  EXPECT_EQ(apic_current_count(state, 105 * ms), 2u * ms);
  state.timer_expiry = ApicState::not_armed;
  EXPECT_EQ(apic_current_count(state, 200 * ms), 0u);
  kvm_lapic_state registers{};
  to_kvm(state, 200 * ms, registers);
  const ApicState back = from_kvm(registers, state.base, 200 * ms);
  EXPECT_EQ(back.timer_expiry, ApicState::not_armed);
  EXPECT_EQ(apic_current_count(back, 300 * ms), 0u) << "it stays over";
}

TEST(ApicCount, WithoutACountThereIsNoTimer) {
  ApicState state = ticking();
  state.initial_count = 0;
  kvm_lapic_state registers{};
  to_kvm(state, 0, registers);
  EXPECT_EQ(from_kvm(registers, state.base, 0).timer_expiry, ApicState::not_armed);
}

TEST(KvmIoapic, ComesBackAsItWent) {
  IoapicState state;
  state.id = 2;
  state.register_select = 0x10;
  state.requested = 0x110;
  state.redirection[4] = 0x0100000000000041;
  EXPECT_EQ(from_kvm(to_kvm(state)), state);
  EXPECT_EQ(to_kvm(state).base_address, 0xfec00000u);
}

TEST(KvmPic, ComesBackAsItWent) {
  PicState state;
  state.last_requested = 1;
  state.requested = 2;
  state.mask = 0xfb;
  state.in_service = 4;
  state.priority_add = 5;
  state.vector_base = 0x20;
  state.read_in_service = state.special_mask = state.auto_end = state.init_word_4 = 1;
  state.init_state = 2;
  state.level_triggered = 0x20;
  EXPECT_EQ(from_kvm(to_kvm(state, PicState::master)), state);
  EXPECT_EQ(to_kvm(state, PicState::master).elcr_mask, 0xf8);
  EXPECT_EQ(to_kvm(state, PicState::slave).elcr_mask, 0xde);
}

TEST(KvmPit, ItsTimesAreOfTheOtherClock) {
  PitState state;
  state.channels[0].mode = 2;
  state.channels[0].count = 11932;
  state.channels[0].count_load_time = 50 * ms;
  state.channels[1].next_transition_time = state.channels[2].next_transition_time = 0;
  const kvm_pit_state2 kernel = to_kvm(state, 1000 * ms, 60 * ms);
  EXPECT_EQ(kernel.channels[0].count_load_time, 990 * ms);
  PitState back = from_kvm(kernel, 2000 * ms, 1060 * ms);
  EXPECT_EQ(back.channels[0].count_load_time, 50 * ms);
  back.channels[0].next_transition_time = state.channels[0].next_transition_time;
  EXPECT_EQ(back, state);
}

TEST(KvmPit, TheNextTransitionIsThatOfTheSamples) {
  // tests/data/golden/microvm/kvm-pic-pit-rtc.mig: never touched, saved at this time.
  const PitChannel channel;
  EXPECT_EQ(pit_next_transition(channel, 4005487615), 4009554284);
  EXPECT_EQ(pit_next_transition(channel, 1004814656), 1016119921);
}

}  // namespace
}  // namespace godwit::vm
