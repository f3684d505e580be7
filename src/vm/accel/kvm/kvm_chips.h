// The interrupt controllers, timers and clock that the kernel runs.
#pragma once

#include <linux/kvm.h>
#include <memory>
#include <optional>
#include <vector>

#include "base/system.h"
#include "vm/accel/interrupt_chips.h"

namespace godwit::vm {

class KvmChips final : public InterruptChips {
 public:
  /// The descriptors stay the caller's. The VM was made with the kernel's controllers.
  static Result<std::unique_ptr<KvmChips>> create(const UniqueFd& vm, std::vector<int> vcpus,
                                                  const ChipOptions& options);

  void set_line(unsigned gsi, bool level) override;
  Result<ApicState> apic(unsigned cpu) override;
  Result<> set_apic(unsigned cpu, const ApicState& state) override;
  Result<IoapicState> ioapic() override;
  Result<> set_ioapic(const IoapicState& state) override;
  Result<PicState> pic(unsigned which) override;
  Result<> set_pic(unsigned which, const PicState& state) override;
  Result<PitState> pit() override;
  Result<> set_pit(const PitState& state) override;
  bool has_clock() const override { return clock_.has_value(); }
  KvmclockState clock() override { return *clock_; }
  void set_clock(const KvmclockState& state) override;
  Result<> stopped() override;
  Result<> starting() override;

 private:
  /// What is done about one vCPU's timer around a stop: the kernel's runs on.
  struct Timer {
    std::optional<std::uint32_t> count_at_stop;
    std::optional<ApicState> loaded;  ///< since the last start
  };

  KvmChips(const UniqueFd& vm, std::vector<int> vcpus, const ChipOptions& options)
      : vm_(vm), vcpus_(std::move(vcpus)), virtual_clock_(options.clock), timers_(vcpus_.size()) {}
  Result<> route_lines(bool has_pic);
  std::int64_t now() const { return virtual_clock_.now().count(); }

  const UniqueFd& vm_;
  const std::vector<int> vcpus_;
  const GuestClock& virtual_clock_;
  std::vector<Timer> timers_;           // by vCPU
  std::optional<KvmclockState> clock_;  // as it stood when the guest stopped; none: the kernel has no such
  bool clock_is_set_ = false;           // clock_ is to be put back at the next start
};

}  // namespace godwit::vm
