// Auto-converge: a guest that dirties memory faster than it can be sent is denied processor time, step by
// step (control-plane section 10.4). Periods go in, a percentage comes out: no threads, no clock.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include <godwit/guest.h>

#include "base/clock.h"
#include "engine/parameters.h"

namespace godwit::engine {

/// The steps. Plain arithmetic.
class ThrottleSteps {
 public:
  /// A rate period has ended, in which the guest dirtied and the channels moved so many bytes. The percentage
  /// that holds from here on, if it changes.
  std::optional<int> period_ended(std::uint64_t dirtied_bytes, std::uint64_t sent_bytes,
                                  const Parameters& parameters);

  int percent() const { return percent_; }

  /// So many periods, not necessarily one after the other, have to be bad before a step is taken.
  static constexpr int patience = 2;

 private:
  int bad_periods_ = 0;
  int percent_ = 0;
};

/// How long the steps to the largest percentage take if all periods are bad.
Nanoseconds time_to_largest_throttle(const Parameters& parameters);

/// Throttles the guest of one migration, and lets it go at the end. One thread; `percent` may be read by
/// others.
class AutoConverge {
 public:
  AutoConverge(Guest& guest, std::atomic<int>& percent) : guest_(guest), percent_(percent) {}
  ~AutoConverge() { stop(); }
  AutoConverge(const AutoConverge&) = delete;
  AutoConverge& operator=(const AutoConverge&) = delete;

  /// `sent_bytes_so_far` counts from the beginning of the migration.
  void period_ended(std::uint64_t dirtied_bytes, std::uint64_t sent_bytes_so_far,
                    const Parameters& parameters);
  /// Harmless when the guest is not throttled.
  void stop() noexcept;

 private:
  Guest& guest_;
  std::atomic<int>& percent_;
  ThrottleSteps steps_;
  std::uint64_t sent_before_ = 0;
};

}  // namespace godwit::engine
