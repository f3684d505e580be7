// The interrupt controllers as one processor sees them: for accelerators that have none of their own.
#pragma once

#include <cstdint>
#include <functional>

namespace godwit::vm {

/// What a processor is to do between two instructions.
struct VcpuEvent {
  enum class Kind : std::uint8_t {
    none,
    init,       ///< become as after INIT, and wait for start-up
    start,      ///< begin at segment vector << 8
    nmi,        ///< non-maskable interrupt
    interrupt,  ///< enter the interrupt `vector`; the controller holds it for served from now on
  };
  Kind kind = Kind::none;
  std::uint8_t vector = 0;
};

/// Thread-safe. `wake` and its lock aside, everything is called by the processor's own thread or while the
/// processor stands still.
class VcpuInterrupts {
 public:
  static constexpr std::uint64_t page_address = 0xfee00000;
  static constexpr std::uint64_t page_size = 0x1000;

  virtual ~VcpuInterrupts() = default;

  /// `wake` is called, on any thread, whenever there may be something to take. Set once, before the first
  /// run; it must not call back.
  virtual void set_wake(std::function<void()> wake) = 0;

  /// Whether take(interruptible) would give something.
  virtual bool has_event(bool interruptible) = 0;
  /// The most urgent event. `interruptible`: maskable interrupts may be given as well.
  virtual VcpuEvent take(bool interruptible) = 0;

  /// The vector was taken, but never entered (the processor stopped between the two, as KVM's can): makes it
  /// pending again. False if the controller does not hold it for served.
  virtual bool give_back(std::uint8_t vector) = 0;

  /// Whether the processor waits for start-up. Senders differ in where they say so.
  virtual bool waits_for_start() = 0;
  virtual void wait_for_start() = 0;

  /// The local APIC's page. Offsets are multiples of 16, values 32 bits wide.
  virtual std::uint32_t read_register(unsigned offset) = 0;
  virtual void write_register(unsigned offset, std::uint32_t value) = 0;

  /// The APIC base MSR.
  virtual std::uint64_t base() = 0;
};

}  // namespace godwit::vm
