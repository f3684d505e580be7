// When may the guest be stopped? The arithmetic of control-plane sections 10.1 to 10.3, without threads or
// clocks: times go in, decisions come out.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace godwit::engine {

using namespace std::chrono_literals;

/// The bandwidth of the last window, what follows from it, and how many bytes the current window may still
/// carry.
class BandwidthWindow {
 public:
  static constexpr Nanoseconds length = 100ms;

  /// `spared`: bytes of guest memory that did not have to go, because deltas or compressed pages went.
  void start(Nanoseconds now, std::uint64_t bytes_sent, std::uint64_t pages_sent, std::uint64_t spared = 0);

  /// Closes the window if it is old enough. True if it was: the figures below are fresh.
  bool update(Nanoseconds now, std::uint64_t bytes_sent, std::uint64_t pages_sent,
              std::uint64_t downtime_limit_ms, std::uint64_t spared = 0);

  /// Bytes of guest memory that can be moved with the guest stopped within the downtime limit, if they go as
  /// those of the last window did. 0 until the first window ends: only an empty remainder converges before
  /// that.
  std::uint64_t threshold_bytes() const { return threshold_bytes_; }
  double bytes_per_ms() const { return bytes_per_ms_; }
  double mbps() const { return bytes_per_ms_ * 8.0 / 1000.0; }
  std::uint64_t pages_per_second() const { return pages_per_second_; }
  /// Bytes that went through the last closed window.
  std::uint64_t window_bytes() const { return window_bytes_; }

  /// What the current window may still carry at `max_bandwidth` bytes per second (0: no limit).
  std::uint64_t quota_left(std::uint64_t bytes_sent, std::uint64_t max_bandwidth) const;
  Nanoseconds ends_at() const { return started_ + length; }
  /// From when on more may follow what the current window has carried, if that is to come evenly and not all
  /// at the window's start. 0: no limit.
  Nanoseconds due_at(std::uint64_t bytes_sent, std::uint64_t max_bandwidth) const;

 private:
  Nanoseconds started_{0};
  std::uint64_t bytes_at_start_ = 0;
  std::uint64_t pages_at_start_ = 0;
  std::uint64_t spared_at_start_ = 0;
  std::uint64_t threshold_bytes_ = 0;
  std::uint64_t window_bytes_ = 0;
  std::uint64_t pages_per_second_ = 0;
  double bytes_per_ms_ = 0;
};

/// How fast the guest dirties memory, over periods of at least a second that end when it is looked at.
class DirtyRate {
 public:
  static constexpr Nanoseconds period = 1000ms;

  void start(Nanoseconds now);
  /// The next add() ends a period.
  bool is_over(Nanoseconds now) const { return now - started_ > period; }
  /// Called at each synchronisation, and when somebody looks between two, with the pages it found newly
  /// dirty. True if a period ended.
  bool add(Nanoseconds now, std::uint64_t newly_dirty_pages);
  std::uint64_t pages_per_second() const { return pages_per_second_; }
  /// Pages that became dirty in the last period that ended.
  std::uint64_t period_pages() const { return period_pages_; }

 private:
  Nanoseconds started_{0};
  std::uint64_t pages_ = 0;
  std::uint64_t period_pages_ = 0;
  std::uint64_t pages_per_second_ = 0;
};

}  // namespace godwit::engine
