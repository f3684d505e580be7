// A KVM vCPU takes and gives its state.
#include "vm/accel/kvm/kvm_vcpu.h"

#include <gtest/gtest.h>

#include "engine/testing/log_capture.h"
#include "vm/testing/kvm_rig.h"

namespace godwit::vm {
namespace {

using KvmVcpuTest = testing::KvmVcpuRig;

TEST_F(KvmVcpuTest, TakesAStateAndGivesItBack) {
  auto before = vcpu_->state();
  ASSERT_TRUE(before) << before.error().what();
  CpuState sent = *before;
  sent.registers[0] = 0x1122334455667788;
  sent.rip = 0x1000;
  sent.segments[ds].base = 0x5000;
  sent.cr2 = 0xc2c2;
  sent.lstar = 0x7fff82828282;
  sent.sysenter_cs = 0x174;
  sent.mtrr_default = 0xc06;
  sent.mce_banks[0] = ~std::uint64_t{0};
  sent.debug[0] = 0xd0d0;
  sent.interrupt_injected = 0x41;
  sent.nmi_masked = true;
  engine::testing::LogCapture log;
  ASSERT_TRUE(vcpu_->set_state(sent));
  const auto now = vcpu_->state();
  ASSERT_TRUE(now);
  EXPECT_EQ(now->registers, sent.registers);
  EXPECT_EQ(now->rip, sent.rip);
  EXPECT_EQ(now->segments[ds].base, sent.segments[ds].base);
  EXPECT_EQ(now->cr2, sent.cr2);
  EXPECT_EQ(now->lstar, sent.lstar);
  EXPECT_EQ(now->sysenter_cs, sent.sysenter_cs);
  EXPECT_EQ(now->mtrr_default, sent.mtrr_default);
  EXPECT_EQ(now->mce_banks, sent.mce_banks);
  EXPECT_EQ(now->debug[0], sent.debug[0]);
  EXPECT_EQ(now->interrupt_injected, 0x41);
  EXPECT_TRUE(now->nmi_masked);
  EXPECT_EQ(now->tsc_khz, before->tsc_khz);
  // Those that cannot be set have what they had.
  EXPECT_EQ(log.text(), "");
}

TEST_F(KvmVcpuTest, SaysWhichRegisterIsAnotherThanTheGuestHad) {
  auto state = vcpu_->state();
  ASSERT_TRUE(state) << state.error().what();
  state->lstar = std::uint64_t{1} << 62;  // not canonical: no KVM takes it
  engine::testing::LogCapture log;
  ASSERT_TRUE(vcpu_->set_state(*state));
  EXPECT_NE(log.text().find("0xc0000082"), std::string::npos) << log.text();
  EXPECT_NE(log.text().find("0x4000000000000000"), std::string::npos) << log.text();
}

TEST_F(KvmVcpuTest, ReadsTheTimeStampCounterAlone) {
  const auto first = vcpu_->state();
  const auto ticks = vcpu_->ticks();
  const auto second = vcpu_->state();
  ASSERT_TRUE(first && ticks && second);
  EXPECT_LE(first->tsc, *ticks);
  EXPECT_LE(*ticks, second->tsc);
}

}  // namespace
}  // namespace godwit::vm
