// The guest's clock against the host's, and what the guest's record of gaps says about the time it stood
// still.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "cli/demo/witness_guest.h"
#include "cli/wait.h"

namespace godwit::cli::demo {

using HostTime = std::chrono::steady_clock::time_point;

/// The guest's time stamp counter as a function of the host's time.
class GuestClock {
 public:
  /// From two readings of the counters before the move, `host_rate` being the ticks per second of the host's
  /// own counter: where the guest's runs at that rate, as it does with hardware acceleration, it is the more
  /// exact of the two.
  GuestClock(const WitnessInfo& first, const WitnessInfo& second, double host_rate);

  double ticks_per_second() const { return rate_; }
  double milliseconds(std::uint64_t ticks) const { return static_cast<double>(ticks) * 1000 / rate_; }

  /// What the counter shows at a moment near the second reading.
  double at(HostTime time) const;

 private:
  double rate_;
  HostTime time_;
  double clock_;
};

/// What the guest noticed of its move.
struct Blackout {
  double switch_ms = 0;    ///< its longest pause that overlaps the time between STOP and RESUME
  double longest_ms = 0;   ///< its longest pause altogether
  double hidden_ms = 0;    ///< part of both that its own clock did not show: it stood still meanwhile
  std::uint64_t gaps = 0;  ///< pauses it recorded
};

/// `gaps` were recorded between the counters `before` and `after` the move.
Blackout find_blackout(const GuestClock& clock, std::span<const Gap> gaps, const WitnessInfo& before,
                       const WitnessInfo& after, HostTime stop, HostTime resume);

/// Reads the counters several times within some 20 ms and keeps the reading whose clock was the newest: a
/// guest that the host lets wait for a processor leaves an old one.
Result<WitnessInfo> read_fresh_info(GuestMemory& memory, double ticks_per_second, const StopRequest& stop);

/// Ticks per second of this host's own time stamp counter, since the construction.
class HostRate {
 public:
  HostRate();
  double measure() const;

 private:
  HostTime time_;
  std::uint64_t clock_;
};

}  // namespace godwit::cli::demo
