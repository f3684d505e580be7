// The mc146818 real-time clock with its CMOS memory: ports 0x70 and 0x71.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "vm/board/port_map.h"
#include "vm/devices/rtc_state.h"

namespace godwit::vm {

/// Thread-safe. Its time is the host's, and goes on while the guest is stopped.
class Rtc final : public PortDevice {
 public:
  static constexpr std::uint16_t first_port = 0x70;
  static constexpr unsigned port_count = 2;

  /// `wall_ns`: nanoseconds since 1970, in UTC. `interrupt` gets the level of the line when it changes.
  Rtc(std::function<std::int64_t()> wall_ns, std::function<void(bool)> interrupt, std::uint64_t ram_size);

  std::uint8_t read(unsigned offset) override;
  void write(unsigned offset, std::uint8_t value) override;

  void reset();
  std::unique_ptr<DeviceSection> section();

 private:
  std::uint8_t read_register();
  void write_register(std::uint8_t value);
  void write_control_b(std::uint8_t value);

  bool runs() const;
  std::int64_t guest_ns(std::int64_t now) const;
  void show_time(std::int64_t now);
  void take_time(std::int64_t now, std::int64_t fraction_ns);
  std::uint8_t encode(unsigned value) const;
  unsigned decode(std::uint8_t value) const;

  void advance(std::int64_t now);
  void restart_periods(std::int64_t now);
  void plan_alarm(std::int64_t now);
  std::int64_t next_second(std::int64_t now) const;
  std::optional<std::int64_t> next_event(std::int64_t now) const;
  void update_interrupt();
  void loop(const std::stop_token& stop);
  void wake_timer();

  const std::function<std::int64_t()> wall_ns_;
  const std::function<void(bool)> interrupt_;
  const std::uint64_t ram_size_;

  std::mutex mutex_;  // guards what follows
  RtcState state_;
  std::int64_t last_second_ = 0;  ///< the guest's, for which the update flag was set
  bool interrupt_level_ = false;
  std::condition_variable_any replanned_;
  std::jthread timer_;  ///< since an interrupt was first enabled
};

}  // namespace godwit::vm
