// The I/O APIC's behaviour, on the registers of IoapicState.
#pragma once

#include <cstdint>
#include <functional>

#include "vm/devices/interrupt_message.h"
#include "vm/devices/ioapic_state.h"

namespace godwit::vm {

/// Not thread-safe: InterruptControllers holds the lock.
class Ioapic {
 public:
  /// `send` delivers to the local APICs, `acknowledge_external` asks the PIC for its vector.
  Ioapic(std::function<void(const InterruptMessage&)> send,
         std::function<std::uint8_t()> acknowledge_external)
      : send_(std::move(send)), acknowledge_external_(std::move(acknowledge_external)) {}

  void set_line(unsigned pin, bool high);
  /// A local APIC is done with this level-triggered vector.
  void end_of_interrupt(std::uint8_t vector);

  std::uint32_t read(unsigned offset) const;
  void write(unsigned offset, std::uint32_t value);

  void reset();
  void after_load();
  IoapicState& state() { return state_; }

 private:
  std::uint32_t read_register() const;
  void write_register(std::uint32_t value);
  void service();

  const std::function<void(const InterruptMessage&)> send_;
  const std::function<std::uint8_t()> acknowledge_external_;
  IoapicState state_;
  std::uint32_t lines_ = 0;  ///< their levels
};

}  // namespace godwit::vm
