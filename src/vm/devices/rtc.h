// An mc146818 real-time clock, on the registers of RtcState: time, alarm, update and periodic interrupts.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "vm/board/port_map.h"
#include "vm/devices/rtc_state.h"
#include "vm/guest_timers.h"

namespace godwit::vm {

/// Thread-safe.
class Rtc final : public PortDevice {
 public:
  static constexpr std::uint16_t first_port = 0x70;
  static constexpr unsigned port_count = 2;

  /// `interrupt` gets the level of the interrupt line when it may have changed, on any thread. `ram_size` is
  /// for the registers in which firmware looks for it.
  Rtc(GuestTimers& timers, std::function<void(bool)> interrupt, std::uint64_t ram_size);

  std::uint8_t read(unsigned offset) override;
  void write(unsigned offset, std::uint8_t value) override;

  /// Power-on: the host's time, the rest of the memory as it is.
  void reset();
  std::unique_ptr<DeviceSection> section();

  /// For sections and tests: with the vCPUs and timers stopped.
  RtcState& state() { return state_; }
  void after_load();

 private:
  std::int64_t host_now() const { return timers_.time().now_ns(GuestTime::Base::host); }
  /// The guest's time, ns since 1970.
  std::int64_t guest_now() const;
  bool is_set_mode() const;
  bool runs() const;
  bool update_in_progress() const;

  void show_time();
  void take_time(std::int64_t fraction_ns);
  void write_divider(std::uint8_t value);
  void write_modes(std::uint8_t value);
  void write_register(std::uint8_t index, std::uint8_t value);
  std::uint8_t read_register(std::uint8_t index);
  std::uint8_t read_flags();

  std::uint32_t period_ticks() const;
  void on_periodic();
  void on_update();
  void schedule_periodic();
  void schedule_update();
  std::int64_t seconds_to_alarm(std::int64_t guest_seconds) const;
  void raise(std::uint8_t flags);
  void fill_memory_sizes(std::uint64_t ram_size);

  GuestTimers& timers_;
  const std::function<void(bool)> interrupt_;
  GuestTimer& periodic_timer_;
  GuestTimer& update_timer_;
  std::mutex mutex_;  // guards what follows
  RtcState state_;
  std::int64_t flags_read_ = 0;  ///< when register C was read last
};

}  // namespace godwit::vm
