// An i8254 timer, on the registers of PitState. Counts in binary whatever the mode word says; gates do not
// move, there is no port for them.
#pragma once

#include <functional>
#include <mutex>

#include "vm/board/port_map.h"
#include "vm/devices/pit_state.h"
#include "vm/guest_timers.h"

namespace godwit::vm {

/// Thread-safe.
class Pit final : public PortDevice {
 public:
  static constexpr std::uint16_t first_port = 0x40;
  static constexpr unsigned port_count = 4;

  /// `interrupt` gets the level of channel 0's output when it may have changed, on any thread.
  Pit(GuestTimers& timers, std::function<void(bool)> interrupt);

  std::uint8_t read(unsigned offset) override;
  void write(unsigned offset, std::uint8_t value) override;

  void reset();
  /// For sections: with the vCPUs and timers stopped.
  PitState& state() { return state_; }
  void after_load();

 private:
  std::uint8_t read_channel(PitChannel& channel);
  void write_channel(PitChannel& channel, std::uint8_t value);
  void write_control(std::uint8_t value);
  void read_back(std::uint8_t command);
  void latch_count(PitChannel& channel) const;
  void load(PitChannel& channel, unsigned value);
  std::uint16_t current_count(const PitChannel& channel) const;
  void update();
  void on_transition();
  std::int64_t now() const { return timers_.time().now_ns(GuestTime::Base::virtual_clock); }

  GuestTimers& timers_;
  const std::function<void(bool)> interrupt_;
  GuestTimer& timer_;
  std::mutex mutex_;  // guards what follows
  PitState state_;
};

}  // namespace godwit::vm
