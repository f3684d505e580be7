#include "vm/accel/cpu_state.h"

#include <gtest/gtest.h>
#include <random>

#include "vm/accel/cpu_section.h"

namespace godwit::vm {
namespace {

using namespace segment_flag;

constexpr std::uint32_t code = present | code_or_data | 0xbu << type_shift;
constexpr std::uint32_t stack = present | code_or_data | 3u << type_shift;

/// Flat 32-bit code in ring 0 with MP and OSFXSR.
CpuState flat_32() {
  CpuState state = reset_cpu(0);
  state.cr0 = cr0_bit::protection | 2;
  state.cr4 = 1 << 9;
  for (Segment& segment : state.segments) segment = {0x10, 0, 0xffffffff, stack | wide | granular};
  state.segments[cs].flags = code | wide | granular;
  return state;
}

CpuState flat_64() {
  CpuState state = flat_32();
  state.cr4 = 0;
  state.efer = efer_bit::long_mode_enable | efer_bit::long_mode_active;
  state.segments[cs].flags = code | long_code | granular;
  return state;
}

TEST(Hflags, AreThoseThatWereSeen) {
  // x86-machine-state section 3.3
  EXPECT_EQ(derive_hflags(flat_32()), 0x4002b0u);
  EXPECT_EQ(derive_hflags(flat_64()), 0x40c2b0u & ~0x400000u);
  EXPECT_EQ(derive_hflags(reset_cpu(0)), 0x40u);
  EXPECT_EQ(derive_hflags2(reset_cpu(0)), 0x101u);
}

TEST(Hflags, FollowTheRegisters) {
  CpuState state = flat_64();
  const std::uint32_t base = derive_hflags(state);
  const auto added = [&](auto change) {
    CpuState changed = state;
    change(changed);
    return derive_hflags(changed) & ~base;
  };
  EXPECT_EQ(added([](CpuState& s) { s.segments[ss].flags |= 3u << dpl_shift; }), 3u);
  EXPECT_EQ(added([](CpuState& s) { s.rflags |= 1 << 8; }), 1u << 8);
  EXPECT_EQ(added([](CpuState& s) { s.rflags |= 3 << 12; }), 3u << 12);
  EXPECT_EQ(added([](CpuState& s) { s.cr0 |= 8; }), 1u << 11);
  EXPECT_EQ(added([](CpuState& s) { s.interrupt_shadow = true; }), 1u << 3);
  EXPECT_EQ(added([](CpuState& s) { s.smm = true; }), 1u << 19);
  EXPECT_EQ(added([](CpuState& s) { s.cr4 |= 1 << 21; }), 1u << 23);
  EXPECT_EQ(added([](CpuState& s) { s.cr4 |= 1 << 11; }), 1u << 27);
  EXPECT_EQ(added([](CpuState& s) {
              s.cr4 |= 1 << 18;
              s.xcr0 = 7;
            }),
            1u << 28);
  state = flat_32();
  EXPECT_EQ(derive_hflags(state) & 0x40, 0u);
  state.segments[es].base = 0x1000;
  EXPECT_EQ(derive_hflags(state) & 0x40, 0x40u);
}

TEST(Hflags, WhatOnlyTheyTellComesBack) {
  CpuState state = flat_64();
  state.interrupt_shadow = state.nmi_masked = state.smm = true;
  CpuState received;
  received.hflags = derive_hflags(state);
  received.hflags2 = derive_hflags2(state);
  take_hflags(received);
  EXPECT_TRUE(received.interrupt_shadow);
  EXPECT_TRUE(received.nmi_masked);
  EXPECT_TRUE(received.smm);
}

TEST(ResetCpu, OnlyTheFirstRuns) {
  EXPECT_EQ(reset_cpu(0).mp_state, mp_state::runnable);
  EXPECT_EQ(reset_cpu(0).halted, 0u);
  EXPECT_EQ(reset_cpu(1).mp_state, mp_state::uninitialized);
  EXPECT_EQ(reset_cpu(1).halted, 1u);
}

/// Every byte of every field different from its neighbours.
CpuState full_state() {
  std::mt19937_64 random(7);
  CpuState state;
  const auto fill = [&](auto& value) {
    value = static_cast<std::remove_reference_t<decltype(value)>>(random());
  };
  for (auto& value : state.registers) fill(value);
  fill(state.rip), fill(state.rflags), fill(state.fpu_control), fill(state.fpu_status), fill(state.fpu_tags);
  for (FpuRegister& value : state.fpu) fill(value.mantissa), fill(value.exponent);
  const auto fill_segment = [&](Segment& s) { fill(s.selector), fill(s.base), fill(s.limit), fill(s.flags); };
  for (Segment& segment : state.segments) fill_segment(segment);
  for (Segment* segment : {&state.ldt, &state.tr, &state.gdt, &state.idt}) fill_segment(*segment);
  fill(state.cr0), fill(state.cr2), fill(state.cr3), fill(state.cr4), fill(state.efer), fill(state.mxcsr);
  for (auto& value : state.debug) fill(value);
  for (auto* half : {&state.xmm, &state.ymm_high})
    for (VectorHalf& value : *half) fill(value.low), fill(value.high);
  fill(state.star), fill(state.lstar), fill(state.cstar), fill(state.fmask), fill(state.kernel_gs_base),
      fill(state.pat);
  for (auto& value : state.mtrr_fixed) fill(value);
  for (VariableMtrr& value : state.mtrr_variable) fill(value.base), fill(value.mask);
  for (auto& value : state.mce_banks) fill(value);
  fill(state.tsc), fill(state.tsc_aux), fill(state.xstate_bv), fill(state.xcr0), fill(state.sipi_vector);
  state.interrupt_injected = 200;
  state.exception = 14;
  return state;
}

CpuState move(CpuState state, std::size_t expected_size) {
  state.hflags = 0x1234;
  state.hflags2 = 0x101;
  Output out;
  std::string description;
  EXPECT_TRUE(cpu_table().save(state, out, description));
  EXPECT_EQ(out.size(), expected_size);
  CpuState loaded;
  loaded.pdptrs_valid = true;  // what a load does not reach must not stay
  loaded.pkru = 9;
  SpanInput in(out.data());
  const auto done = cpu_table().load(loaded, in);
  EXPECT_TRUE(done) << (done ? "" : done.error().what());
  EXPECT_TRUE(*in.at_end());
  loaded.hflags = state.hflags;
  EXPECT_EQ(loaded, state);
  return loaded;
}

TEST(CpuSection, TheFixedPartHas1817Bytes) {
  move(reset_cpu(0), 1817);
}

TEST(CpuSection, EveryFieldArrives) {
  move(full_state(), 1817);
}

TEST(CpuSection, SubsectionsComeWhenTheyAreDue) {
  CpuState state = reset_cpu(0);
  state.tsc_khz = 2'600'000;
  move(state, 1842);  // what KVM sends
  state = reset_cpu(0);
  state.kvm_poll_control = 0;
  move(state, 1851);  // what an idle translator sends
  state.fpu_ip = 0x1234;
  move(state, 1851 + 38);
  state.tsc_adjust = state.tsc_deadline = state.misc_enable = state.xss = state.spec_ctrl = 77;
  state.pkru = 5;
  state.pdptrs = {1, 2, 3, 4};
  state.pdptrs_valid = true;
  const CpuState loaded = move(state, 1851 + 38 + 32 + 33 + 38 + 21 + 18 + 27 + 48);
  EXPECT_TRUE(loaded.pdptrs_valid);
}

TEST(CpuSection, FieldsAreWhereThePeerLooksForThem) {
  CpuState state = reset_cpu(0);
  state.registers[rsp] = 0x1122334455667788;
  state.mxcsr = 0xcafe;
  state.tsc = 0x0102030405060708;
  state.ymm_high[0].low = 0xaa55;
  Output out;
  std::string description;
  ASSERT_TRUE(cpu_table().save(state, out, description));
  const auto number = [&](std::size_t at, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | static_cast<std::uint8_t>(out.data()[at + i]);
    return value;
  };
  EXPECT_EQ(number(4 * 8, 8), 0x1122334455667788u);
  EXPECT_EQ(number(128, 8), 0xfff0u);
  EXPECT_EQ(number(556, 4), 0xcafeu);
  EXPECT_EQ(number(1157, 8), 0x0102030405060708u);
  EXPECT_EQ(number(1561, 8), 0xaa55u);
  EXPECT_EQ(static_cast<std::int32_t>(number(1149, 4)), -1);
}

TEST(CpuSection, RefusesWhatNoProcessorHas) {
  CpuState state = reset_cpu(0);
  state.fpu_format = 1;
  Output out;
  std::string description;
  ASSERT_TRUE(cpu_table().save(state, out, description));
  SpanInput in(out.data());
  CpuState loaded;
  EXPECT_FALSE(cpu_table().load(loaded, in));
}

TEST(CpuCommonSection, HasEightBytes) {
  CpuState state;
  state.halted = 1;
  state.interrupt_request = 2;
  Output out;
  std::string description;
  ASSERT_TRUE(cpu_common_table().save(state, out, description));
  EXPECT_EQ(out.size(), 8u);
  CpuState loaded = full_state();
  SpanInput in(out.data());
  ASSERT_TRUE(cpu_common_table().load(loaded, in));
  EXPECT_EQ(loaded, state);
}

}  // namespace
}  // namespace godwit::vm
