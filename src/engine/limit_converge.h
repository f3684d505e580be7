// The capability dirty-limit: a guest that dirties memory faster than it can be sent has each vCPU limited by
// what that one writes itself, so that vCPUs which only compute or read go on at full speed.
#pragma once

#include <cstdint>

#include "engine/dirty_limiter.h"
#include "engine/parameters.h"

namespace godwit::engine {

/// Limits the vCPUs for one migration, and lets them go at the end. One thread.
class LimitConverge {
 public:
  explicit LimitConverge(DirtyLimiter& limiter) : limiter_(limiter) {}
  ~LimitConverge() { stop(); }
  LimitConverge(const LimitConverge&) = delete;
  LimitConverge& operator=(const LimitConverge&) = delete;

  /// A rate period has ended. `sent_bytes_so_far` counts from the beginning of the migration.
  void period_ended(std::uint64_t dirtied_bytes, std::uint64_t sent_bytes_so_far,
                    const Parameters& parameters);
  /// Harmless when nothing is limited.
  void stop() noexcept;

 private:
  /// As with auto-converge: so many periods have to be bad before something is done.
  static constexpr int patience = 2;

  DirtyLimiter& limiter_;
  std::uint64_t sent_before_ = 0;
  int bad_periods_ = 0;
  std::uint64_t limit_mib_ = 0;  ///< 0: not limited yet
};

}  // namespace godwit::engine
