#include "cli/demo/guest_clock.h"

#include <algorithm>
#include <cmath>
#include <x86intrin.h>

namespace godwit::cli::demo {
namespace {

/// Below this, a difference between the clocks is the error of reading them.
constexpr double least_hidden_ms = 2;
constexpr double resume_tolerance_s = 0.001;
/// Two readings of a guest that waits for a processor now and then may be this far from its rate.
constexpr double same_rate_tolerance = 0.1;
constexpr int fresh_attempts = 8;
constexpr Milliseconds between_attempts{3};

double seconds(HostTime::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

GuestClock::GuestClock(const WitnessInfo& first, const WitnessInfo& second, double host_rate)
    : rate_(host_rate), time_(second.host_time), clock_(static_cast<double>(second.clock)) {
  const double elapsed = seconds(second.host_time - first.host_time);
  const double measured = elapsed > 0 ? static_cast<double>(second.clock - first.clock) / elapsed : 0;
  if (measured > 0 && std::abs(measured / host_rate - 1) > same_rate_tolerance) rate_ = measured;
}

double GuestClock::at(HostTime time) const {
  return clock_ + seconds(time - time_) * rate_;
}

Blackout find_blackout(const GuestClock& clock, std::span<const Gap> gaps, const WitnessInfo& before,
                       const WitnessInfo& after, HostTime stop, HostTime resume) {
  Blackout blackout;
  blackout.gaps = gaps.size();
  const double hidden =
      seconds(after.host_time - before.host_time) * 1000 - clock.milliseconds(after.clock - before.clock);
  if (hidden > least_hidden_ms) blackout.hidden_ms = hidden;
  const double stopped = clock.at(stop);
  const double resumed = clock.at(resume) + resume_tolerance_s * clock.ticks_per_second();
  for (const Gap& gap : gaps) {
    const double ms = clock.milliseconds(gap.ticks) + blackout.hidden_ms;
    blackout.longest_ms = std::max(blackout.longest_ms, ms);
    const auto end = static_cast<double>(gap.end);
    if (end > stopped && end - static_cast<double>(gap.ticks) < resumed)
      blackout.switch_ms = std::max(blackout.switch_ms, ms);
  }
  // A clock that was set differently on arrival puts the gap elsewhere; then the longest one is the switch.
  if (blackout.switch_ms == 0) blackout.switch_ms = std::max(blackout.longest_ms, blackout.hidden_ms);
  return blackout;
}

Result<WitnessInfo> read_fresh_info(GuestMemory& memory, double ticks_per_second, const StopRequest& stop) {
  GODWIT_ASSIGN(auto freshest, read_info(memory));
  for (int attempt = 1; attempt < fresh_attempts; ++attempt) {
    GODWIT_TRY(pause_until(after(between_attempts), stop));
    GODWIT_ASSIGN(const auto info, read_info(memory));
    const double expected = seconds(info.host_time - freshest.host_time) * ticks_per_second;
    // As a signed number: the newer reading may show the older clock.
    const auto advanced = static_cast<double>(static_cast<std::int64_t>(info.clock - freshest.clock));
    if (advanced >= expected) freshest = info;
  }
  return freshest;
}

HostRate::HostRate() : time_(std::chrono::steady_clock::now()), clock_(__rdtsc()) {}

double HostRate::measure() const {
  const auto now = std::chrono::steady_clock::now();
  return static_cast<double>(__rdtsc() - clock_) / seconds(now - time_);
}

}  // namespace godwit::cli::demo
