// A local APIC's behaviour, on the registers of ApicState. xAPIC mode only; there is no TSC deadline.
#pragma once

#include <cstdint>
#include <optional>

#include "vm/devices/apic_state.h"
#include "vm/devices/interrupt_message.h"

namespace godwit::vm {

/// Not thread-safe: InterruptControllers holds the lock.
class LocalApic {
 public:
  /// Where it reaches the others. Called with the lock held.
  class Environment {
   public:
    virtual ~Environment() = default;
    virtual std::int64_t now_ns() = 0;  ///< of the virtual clock
    /// The timer's next expiry, or ApicState::not_armed.
    virtual void arm(unsigned index, std::int64_t when_ns) = 0;
    virtual void send(const InterruptMessage& message) = 0;
    /// To one processor, whatever its id.
    virtual void send_to(unsigned index, const InterruptMessage& message) = 0;
    virtual unsigned processor_count() = 0;
    virtual void end_of_level_interrupt(std::uint8_t vector) = 0;
  };

  LocalApic(unsigned index, Environment& environment)
      : index_(index), environment_(environment), state_(reset_apic(index)) {}

  std::uint32_t read(unsigned offset);
  void write(unsigned offset, std::uint32_t value);

  void accept(const InterruptMessage& message);
  bool is_addressed_by(const InterruptMessage& message) const;
  /// For arbitration of lowest priority.
  std::uint8_t processor_priority() const;

  /// The vector that would be taken now, at this priority.
  std::optional<std::uint8_t> deliverable() const;
  std::uint8_t take();
  bool give_back(std::uint8_t vector);
  /// Whether LINT0 or a disabled APIC lets the PIC's interrupts through.
  bool passes_external() const;

  void on_timer();
  /// Goes on with a state that was put in from outside.
  void after_load();
  void reset();
  /// What INIT leaves: everything as after power-on but for the id and the base.
  void init();

  ApicState& state() { return state_; }
  bool waits_for_start() const { return state_.wait_for_sipi != 0; }

  // Taken by the processor:
  bool init_pending = false;
  bool nmi_pending = false;
  std::optional<std::uint8_t> start_vector;

 private:
  bool is_enabled() const;
  bool is_software_enabled() const;
  std::uint32_t current_count();
  void load_timer(std::uint32_t initial_count);
  /// The next expiry after `now`, into the state and the environment.
  void schedule(std::int64_t now);
  void end_of_interrupt();
  void send_command();
  void raise(std::uint8_t vector, bool level_triggered);
  void report_error(std::uint32_t bit);

  const unsigned index_;
  Environment& environment_;
  ApicState state_;
  std::uint32_t pending_errors_ = 0;  ///< not yet latched into the error status register
};

}  // namespace godwit::vm
