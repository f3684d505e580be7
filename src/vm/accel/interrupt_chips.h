// The interrupt controllers and timers around the vCPUs: the kernel's with KVM, software with a translator.
#pragma once

#include <godwit/result.h>

#include "vm/board/mmio_map.h"
#include "vm/board/port_map.h"
#include "vm/devices/apic_state.h"
#include "vm/devices/ioapic_state.h"
#include "vm/devices/kvmclock_state.h"
#include "vm/devices/pic_state.h"
#include "vm/devices/pit_state.h"
#include "vm/guest_clock.h"
#include "vm/guest_timers.h"

namespace godwit::vm {

/// Local APICs and an I/O APIC are always there.
struct ChipOptions {
  const GuestClock& clock;  ///< what all times in the states are of
  bool pic = true;
  bool pit = true;
  GuestTimers* timers = nullptr;  ///< for chips in software; set by the machine
};

/// A line (GSI) from 0 to 15 goes to the PIC and to the I/O APIC's pin of that number, those up to 23 to the
/// I/O APIC alone (x86-machine-state section 1.4). set_line(): thread-safe. The rest: with the vCPUs stopped.
class InterruptChips {
 public:
  virtual ~InterruptChips() = default;

  virtual void set_line(unsigned gsi, bool level) = 0;

  virtual Result<ApicState> apic(unsigned cpu) = 0;
  virtual Result<> set_apic(unsigned cpu, const ApicState& state) = 0;
  virtual Result<IoapicState> ioapic() = 0;
  virtual Result<> set_ioapic(const IoapicState& state) = 0;
  /// `which`: PicState::master or slave. Set too when the machine has no PIC: to a state that does nothing.
  virtual Result<PicState> pic(unsigned which) = 0;
  virtual Result<> set_pic(unsigned which, const PicState& state) = 0;
  virtual Result<PitState> pit() = 0;
  virtual Result<> set_pit(const PitState& state) = 0;

  /// The clock that the accelerator shows to guests that ask for it.
  virtual bool has_clock() const { return false; }
  virtual KvmclockState clock() { return {}; }
  virtual void set_clock(const KvmclockState& state) { (void)state; }

  /// Right after the vCPUs and the guest's clock have stopped, and right before they start.
  virtual Result<> stopped() { return {}; }
  virtual Result<> starting() { return {}; }

  /// Adds the chips that are software to the guest's ports and memory. Once, before the machine starts.
  virtual void attach(PortMap& ports, MmioMap& memory) { (void)ports, (void)memory; }
};

}  // namespace godwit::vm
