// Timers of a machine's devices. They expire only while the machine runs.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <thread>

#include <godwit/clock.h>

namespace godwit::vm {

/// The two clocks that devices go by. Thread-safe.
class GuestTime {
 public:
  enum class Base : std::uint8_t {
    virtual_clock,  ///< stands still with the machine
    host,           ///< ns since 1970
  };
  virtual ~GuestTime() = default;
  virtual std::int64_t now_ns(Base base) const = 0;
};

class GuestTimers;

/// One timer, in ns of its clock. Thread-safe.
class GuestTimer {
 public:
  static constexpr std::int64_t never = -1;
  /// Replaces what was set before.
  void arm(std::int64_t when_ns);
  void disarm() { arm(never); }

 private:
  friend class GuestTimers;
  GuestTimer(GuestTimers& owner, GuestTime::Base base, std::function<void()> expired)
      : owner_(owner), base_(base), expired_(std::move(expired)) {}
  GuestTimers& owner_;
  const GuestTime::Base base_;
  const std::function<void()> expired_;
  std::int64_t when_ = never;
};

/// Thread-safe. Starts paused.
class GuestTimers {
 public:
  explicit GuestTimers(const GuestTime& time) : time_(time) {}
  ~GuestTimers();
  GuestTimers(const GuestTimers&) = delete;
  GuestTimers& operator=(const GuestTimers&) = delete;

  /// `expired` is called with no lock held, on the timers' thread. The timer may have been armed anew or
  /// disarmed by then: look at the time. Lives as long as this.
  GuestTimer& add(GuestTime::Base base, std::function<void()> expired);
  const GuestTime& time() const { return time_; }

  void resume();
  /// When it returns no timer expires.
  void pause();

  /// Calls what has expired by now, on the calling thread. For tests, which have no thread here.
  void run_due();

 private:
  friend class GuestTimer;
  void loop(const std::stop_token& stop);
  /// The one that expires first, and when, in ns from now; negative: it is late.
  GuestTimer* next(std::int64_t& distance_ns);
  void expire(GuestTimer& timer, std::unique_lock<std::mutex>& lock);

  const GuestTime& time_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable_any changed_;
  std::list<GuestTimer> timers_;
  bool running_ = false;
  bool calling_ = false;
  std::jthread thread_;
};

}  // namespace godwit::vm
