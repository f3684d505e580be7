// calc-dirty-rate: how fast the guest writes to its RAM, measured without moving it.
#pragma once

#include <cstdint>
#include <mutex>
#include <random>
#include <thread>

#include <godwit/clock.h>
#include <godwit/guest.h>
#include <godwit/schema/types.h>

namespace godwit::engine {

/// One measurement at a time, on a thread of its own. start() and release_tracker() are called by one thread
/// at a time, info() by any.
class DirtyRateMeter {
 public:
  /// `guest` and `clock` outlive the meter. `seed` decides which pages are sampled.
  DirtyRateMeter(Guest& guest, Clock& clock, std::uint64_t seed = std::random_device{}())
      : guest_(guest), clock_(clock), random_(seed) {}
  /// Ends a measurement early.
  ~DirtyRateMeter();
  DirtyRateMeter(const DirtyRateMeter&) = delete;
  DirtyRateMeter& operator=(const DirtyRateMeter&) = delete;

  /// The error texts are those that clients know.
  Result<> start(const schema::CalcDirtyRateArguments& wanted);
  /// The last measurement, or the one that runs.
  schema::DirtyRateInfo info() const;

  /// For a migration, which needs the guest's dirty tracker: a measurement that uses it ends now, with the
  /// rate of the time so far.
  void release_tracker();

 private:
  using Mode = schema::DirtyRateMeasureMode;

  Result<> check(const schema::CalcDirtyRateArguments& wanted) const;
  void end();
  void measure(Mode mode, std::uint64_t sample_pages, Nanoseconds how_long);
  void measure_by_tracker(Nanoseconds how_long);
  void measure_by_samples(std::uint64_t pages_per_gib, Nanoseconds how_long);

  Guest& guest_;
  Clock& clock_;
  std::mt19937_64 random_;  // of the measuring thread
  Event stop_;
  mutable std::mutex mutex_;  // guards info_
  schema::DirtyRateInfo info_{};
  std::jthread thread_;
};

}  // namespace godwit::engine
