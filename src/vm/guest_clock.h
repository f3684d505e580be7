// The guest's virtual clock: nanoseconds that pass while the machine runs, and the `timer` section that
// carries it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include <godwit/clock.h>
#include <godwit/device_section.h>

namespace godwit::vm {

/// Thread-safe. Starts stopped, at 0.
class GuestClock {
 public:
  explicit GuestClock(const Clock& host) : host_(host) {}

  void start();
  void stop();
  Nanoseconds now() const;

  /// `ticks` gives the time stamp counter to be saved; empty: 0. `take_ticks` gets the one that arrives,
  /// before any vCPU's section; may be empty. Used with the clock stopped.
  std::unique_ptr<DeviceSection> section(std::function<Result<std::int64_t>()> ticks,
                                         std::function<void(std::int64_t)> take_ticks);

 private:
  struct State {
    std::int64_t ticks = 0;
    std::int64_t clock_ns = 0;
  };

  const Clock& host_;
  mutable std::mutex mutex_;  // guards what follows
  bool running_ = false;
  Nanoseconds value_{0};    ///< when stopped; when running, at started_
  Nanoseconds started_{0};  ///< host time
  State state_;             ///< what the section is saved from and loaded into
};

}  // namespace godwit::vm
