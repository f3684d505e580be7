#include "engine/throttle.h"

#include <algorithm>

#include "base/log.h"
#include "engine/convergence.h"

namespace godwit::engine {

std::optional<int> ThrottleSteps::period_ended(std::uint64_t dirtied_bytes, std::uint64_t sent_bytes,
                                               const Parameters& parameters) {
  const double dirtied = static_cast<double>(dirtied_bytes);
  const double bearable =
      static_cast<double>(sent_bytes) * parameters.throttle_trigger_threshold_percent / 100.0;
  if (dirtied <= bearable || ++bad_periods_ < patience) return std::nullopt;
  bad_periods_ = 0;
  const int before = percent_;
  if (percent_ == 0) {
    percent_ = parameters.cpu_throttle_initial_percent;
  } else {
    int step = parameters.cpu_throttle_increment_percent;
    if (parameters.cpu_throttle_tailslow) {
      // Only as much as it takes, if the guest dirties in proportion to the time it runs.
      const int running = 100 - percent_;
      step = std::min(step, static_cast<int>(running - running * bearable / dirtied));
    }
    percent_ = std::min(percent_ + step, int{parameters.max_cpu_throttle_percent});
  }
  percent_ = std::clamp(percent_, 1, 99);
  return percent_ == before ? std::nullopt : std::optional(percent_);
}

Nanoseconds time_to_largest_throttle(const Parameters& parameters) {
  const int way = parameters.max_cpu_throttle_percent - parameters.cpu_throttle_initial_percent;
  const int increment = std::max<int>(parameters.cpu_throttle_increment_percent, 1);
  const int steps = 1 + (std::max(way, 0) + increment - 1) / increment;
  return steps * ThrottleSteps::patience * DirtyRate::period;
}

void AutoConverge::period_ended(std::uint64_t dirtied_bytes, std::uint64_t sent_bytes_so_far,
                                const Parameters& parameters) {
  const std::uint64_t sent = sent_bytes_so_far - sent_before_;
  sent_before_ = sent_bytes_so_far;
  const auto percent = steps_.period_ended(dirtied_bytes, sent, parameters);
  if (!percent) return;
  log::info("auto-converge: {} MiB dirtied, {} MiB sent in the last period: throttling to {} %",
            dirtied_bytes >> 20, sent >> 20, *percent);
  guest_.set_throttle(*percent);
  percent_ = *percent;
}

void AutoConverge::stop() noexcept {
  if (percent_.exchange(0) != 0) guest_.set_throttle(0);
}

}  // namespace godwit::engine
