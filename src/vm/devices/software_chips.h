// The interrupt controllers and timers around the vCPUs, in software.
#pragma once

#include <optional>

#include "vm/accel/interrupt_chips.h"
#include "vm/devices/interrupt_controllers.h"
#include "vm/devices/pit.h"

namespace godwit::vm {

class SoftwareChips final : public InterruptChips, private MmioDevice {
 public:
  /// With `options.timers` set, which outlive this.
  SoftwareChips(unsigned processors, const ChipOptions& options);

  VcpuInterrupts& processor(unsigned index) { return controllers_.processor(index); }

  void set_line(unsigned gsi, bool level) override { controllers_.set_line(gsi, level); }
  Result<ApicState> apic(unsigned cpu) override { return controllers_.apic_state(cpu); }
  Result<> set_apic(unsigned cpu, const ApicState& state) override;
  Result<IoapicState> ioapic() override { return controllers_.ioapic_state(); }
  Result<> set_ioapic(const IoapicState& state) override;
  Result<PicState> pic(unsigned which) override { return controllers_.pic_state(which); }
  Result<> set_pic(unsigned which, const PicState& state) override;
  Result<PitState> pit() override { return pit_ ? pit_->state() : PitState(); }
  Result<> set_pit(const PitState& state) override;
  void attach(PortMap& ports, MmioMap& memory) override;

 private:
  // MmioDevice: the I/O APIC
  void read(std::uint64_t offset, std::span<std::byte> into) override;
  void write(std::uint64_t offset, std::span<const std::byte> from) override;

  const bool has_pic_;
  InterruptControllers controllers_;
  std::optional<Pit> pit_;
};

}  // namespace godwit::vm
