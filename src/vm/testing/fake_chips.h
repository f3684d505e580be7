// Interrupt controllers that only keep what they are given, by way of the kernel's structures. For tests.
#pragma once

#include <array>
#include <vector>

#include "vm/accel/interrupt_chips.h"
#include "vm/accel/kvm/kvm_chip_state.h"

namespace godwit::vm::testing {

class FakeChips final : public InterruptChips {
 public:
  explicit FakeChips(unsigned cpus) : apics_(cpus) {}

  void set_line(unsigned, bool) override {}
  Result<ApicState> apic(unsigned cpu) override {
    return from_kvm(apics_[cpu].registers, apics_[cpu].base, 0);
  }
  Result<> set_apic(unsigned cpu, const ApicState& state) override {
    apics_[cpu].base = state.base;
    to_kvm(state, 0, apics_[cpu].registers);
    return {};
  }
  Result<IoapicState> ioapic() override { return from_kvm(ioapic_); }
  Result<> set_ioapic(const IoapicState& state) override {
    ioapic_ = to_kvm(state);
    return {};
  }
  Result<PicState> pic(unsigned which) override { return from_kvm(pics_[which]); }
  Result<> set_pic(unsigned which, const PicState& state) override {
    pics_[which] = to_kvm(state, which);
    return {};
  }
  Result<PitState> pit() override { return from_kvm(pit_, 0, 0); }
  Result<> set_pit(const PitState& state) override {
    pit_ = to_kvm(state, 0, 0);
    return {};
  }
  bool has_clock() const override { return true; }
  KvmclockState clock() override { return clock_; }
  void set_clock(const KvmclockState& state) override { clock_ = state; }

 private:
  struct Apic {
    kvm_lapic_state registers{};
    std::uint64_t base = 0;
  };
  std::vector<Apic> apics_;
  kvm_ioapic_state ioapic_{};
  std::array<kvm_pic_state, 2> pics_{};
  kvm_pit_state2 pit_{};
  KvmclockState clock_;
};

}  // namespace godwit::vm::testing
