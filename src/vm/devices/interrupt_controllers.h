// All interrupt controllers of an emulated machine, wired together: local APICs, I/O APIC and PIC.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "vm/accel/vcpu_interrupts.h"
#include "vm/board/port_map.h"
#include "vm/devices/ioapic.h"
#include "vm/devices/local_apic.h"
#include "vm/devices/pic.h"
#include "vm/guest_timers.h"

namespace godwit::vm {

/// Thread-safe, under one lock: a device that raises a line may hold its own, and no device is called from
/// here. The states are for sections: with the vCPUs and timers stopped, after_load() when they were loaded.
class InterruptControllers : private LocalApic::Environment {
 public:
  InterruptControllers(unsigned processors, bool has_pic, GuestTimers& timers);
  ~InterruptControllers() override;

  /// Global system interrupt: the I/O APIC's pin, and up to 15 the PIC's line.
  void set_line(unsigned line, bool high);

  VcpuInterrupts& processor(unsigned index);

  /// The I/O APIC's page.
  std::uint32_t read_ioapic(unsigned offset);
  void write_ioapic(unsigned offset, std::uint32_t value);

  static constexpr std::uint16_t master_port = 0x20, slave_port = 0xa0, elcr_port = 0x4d0;
  PortDevice& master_ports();
  PortDevice& slave_ports();
  PortDevice& elcr_ports();

  ApicState& apic_state(unsigned index) { return apics_[index].state(); }
  IoapicState& ioapic_state() { return ioapic_.state(); }
  PicState& pic_state(unsigned chip) { return pics_.state(chip); }
  void after_load_apic(unsigned index);
  void after_load_ioapic();
  void after_load_pic();
  void reset();

 private:
  class Processor;
  class PicPorts;
  class ElcrPorts;

  // LocalApic::Environment
  std::int64_t now_ns() override;
  void arm(unsigned index, std::int64_t when_ns) override;
  void send(const InterruptMessage& message) override;
  void send_to(unsigned index, const InterruptMessage& message) override;
  unsigned processor_count() override { return static_cast<unsigned>(apics_.size()); }
  void end_of_level_interrupt(std::uint8_t vector) override;

  // With the lock held.
  bool external_interrupt(unsigned index) const;
  bool has_event(unsigned index, bool interruptible) const;
  VcpuEvent take(unsigned index, bool interruptible);
  /// Wakes the processors that have something to take.
  void wake();

  const bool has_pic_;
  GuestTimers& timers_;
  std::vector<GuestTimer*> apic_timers_;
  std::vector<std::unique_ptr<Processor>> processors_;
  std::unique_ptr<PicPorts> master_ports_, slave_ports_;
  std::unique_ptr<ElcrPorts> elcr_ports_;

  mutable std::mutex mutex_;  // guards what follows
  std::vector<LocalApic> apics_;
  Ioapic ioapic_;
  PicPair pics_;
};

}  // namespace godwit::vm
