// The kernel's interrupt controllers take and give what the sections carry.
#include "vm/accel/kvm/kvm_chips.h"

#include <gtest/gtest.h>

#include "vm/testing/kvm_rig.h"

namespace godwit::vm {
namespace {

constexpr std::int64_t second = 1'000'000'000;

class KvmChipsTest : public testing::KvmVcpuRig {
 protected:
  void SetUp() override {
    KvmVcpuRig::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    auto chips = accelerator_->create_chips({.clock = clock_});
    ASSERT_TRUE(chips) << chips.error().what();
    chips_ = std::move(*chips);
  }

  /// A timer of 512 seconds whose next tick is in 300: no load of the test machine takes so long.
  ApicState armed(std::uint32_t vector_entry) {
    ApicState state = reset_apic(0);
    state.spurious_vector = 0x1ff;
    state.lvt[ApicState::timer] = vector_entry;
    state.divide_configuration = 0xa;
    state.count_shift = 7;
    state.initial_count = 4'000'000'000;
    state.timer_expiry = state.next_time = clock_.now().count() + 300 * second;
    state.initial_count_load_time = state.next_time - apic_period_ns(state);
    return state;
  }

  VirtualClock host_;  // stands still, the kernel's clock does not
  GuestClock clock_{host_};
  std::unique_ptr<InterruptChips> chips_;
};

TEST_F(KvmChipsTest, TheTimerGoesOnWhereItWas) {
  const ApicState sent = armed(0x20040);
  ASSERT_TRUE(chips_->set_apic(0, sent));
  // As long as it stands, the guest's clock decides.
  auto standing = chips_->apic(0);
  ASSERT_TRUE(standing);
  EXPECT_NEAR(static_cast<double>(standing->timer_expiry), static_cast<double>(sent.timer_expiry), 128);
  EXPECT_EQ(standing->lvt[ApicState::timer], 0x20040u);
  EXPECT_EQ(standing->base, sent.base);
  // Once it runs, the kernel counts from there, not from a whole period.
  ASSERT_TRUE(chips_->starting());
  const auto running = chips_->apic(0);
  ASSERT_TRUE(running);
  EXPECT_LE(running->timer_expiry, sent.timer_expiry);
  EXPECT_GT(running->timer_expiry, clock_.now().count());
}

TEST_F(KvmChipsTest, AStopHoldsTheCount) {
  ASSERT_TRUE(chips_->set_apic(0, armed(0x20040)));
  ASSERT_TRUE(chips_->starting());
  ASSERT_TRUE(chips_->stopped());
  const auto before = chips_->apic(0);
  const auto after = chips_->apic(0);
  ASSERT_TRUE(before && after);
  EXPECT_EQ(before->timer_expiry, after->timer_expiry);
}

TEST_F(KvmChipsTest, TheOthersComeBack) {
  IoapicState ioapic;
  ioapic.redirection[4] = 0x10041;
  ASSERT_TRUE(chips_->set_ioapic(ioapic));
  EXPECT_EQ(chips_->ioapic()->redirection, ioapic.redirection);

  PicState pic;
  pic.mask = 0xfb;
  pic.vector_base = 0x20;
  ASSERT_TRUE(chips_->set_pic(PicState::master, pic));
  EXPECT_EQ(chips_->pic(PicState::master)->mask, 0xfb);
  EXPECT_EQ(chips_->pic(PicState::master)->vector_base, 0x20);

  PitState pit;
  pit.channels[0].mode = 2;
  pit.channels[0].count = 11932;
  ASSERT_TRUE(chips_->set_pit(pit));
  EXPECT_EQ(chips_->pit()->channels[0].count, 11932);
  EXPECT_EQ(chips_->pit()->channels[0].mode, 2);
}

TEST_F(KvmChipsTest, ALineShowsInTheIoapic) {
  IoapicState ioapic;
  ioapic.redirection[4] = IoapicState::masked | 0x8041;  // level triggered
  ASSERT_TRUE(chips_->set_ioapic(ioapic));
  chips_->set_line(4, true);
  EXPECT_EQ(chips_->ioapic()->requested & 0x10, 0x10u);
  chips_->set_line(4, false);
  EXPECT_EQ(chips_->ioapic()->requested & 0x10, 0u);
}

}  // namespace
}  // namespace godwit::vm
