// Time is injected: algorithms take a Clock, so that tests run hours of migration in virtual time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace godwit {

using Nanoseconds = std::chrono::nanoseconds;
using Milliseconds = std::chrono::milliseconds;

/// Something a thread waits for and another one signals. Stays set until cleared. Thread-safe.
class Event {
 public:
  void set();
  void clear();
  bool is_set() const;

  /// Blocks until set.
  void wait() const;

 private:
  friend class SteadyClock;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool set_ = false;
};

/// Monotonic time since an arbitrary start. Implementations are thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Nanoseconds now() const = 0;

  /// Waits until `event` is set or `how_long` has passed. True if the event is set.
  virtual bool wait_for(const Event& event, Nanoseconds how_long) = 0;
};

/// The machine's monotonic clock.
class SteadyClock final : public Clock {
 public:
  Nanoseconds now() const override;
  bool wait_for(const Event& event, Nanoseconds how_long) override;
};

/// Time that moves only when somebody waits or advances it. For tests; thread-safe.
class VirtualClock final : public Clock {
 public:
  Nanoseconds now() const override;
  bool wait_for(const Event& event, Nanoseconds how_long) override;
  void advance(Nanoseconds how_long);

 private:
  mutable std::mutex mutex_;
  Nanoseconds now_{0};
};

/// Whole milliseconds, rounded down: what the control interface reports.
inline std::int64_t to_ms(Nanoseconds duration) {
  return std::chrono::duration_cast<Milliseconds>(duration).count();
}

}  // namespace godwit
