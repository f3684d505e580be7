#include "engine/limit_converge.h"

#include "base/log.h"

namespace godwit::engine {

void LimitConverge::period_ended(std::uint64_t dirtied_bytes, std::uint64_t sent_bytes_so_far,
                                 const Parameters& parameters) {
  const std::uint64_t sent = sent_bytes_so_far - sent_before_;
  sent_before_ = sent_bytes_so_far;
  const double bearable = static_cast<double>(sent) * parameters.throttle_trigger_threshold_percent / 100.0;
  if (static_cast<double>(dirtied_bytes) > bearable) ++bad_periods_;
  if (bad_periods_ < patience || parameters.vcpu_dirty_limit == limit_mib_) return;
  log::info("dirty-limit: {} MiB dirtied, {} MiB sent in the last period: limiting each vCPU to {} MiB/s",
            dirtied_bytes >> 20, sent >> 20, parameters.vcpu_dirty_limit);
  const Milliseconds period(static_cast<std::int64_t>(parameters.vcpu_dirty_limit_period_ms));
  if (auto limited = limiter_.set(std::nullopt, parameters.vcpu_dirty_limit, period); !limited) {
    log::warn("dirty-limit: {}", limited.error().explain());
    return;
  }
  limit_mib_ = parameters.vcpu_dirty_limit;
}

void LimitConverge::stop() noexcept {
  if (limit_mib_ == 0) return;
  limit_mib_ = 0;
  limiter_.cancel_all();
}

}  // namespace godwit::engine
