// x-auto-lanes: what the first pass shows of the link and of the guest decides how the passes after it send
// their pages. Figures go in, a choice comes out: no threads, no clock.
#pragma once

#include <cstdint>
#include <string>

#include <godwit/schema/types.h>

namespace godwit::engine {

/// Finds out whether several multifd channels carry more than one: in the first windows they take turns.
class ChannelTrial {
 public:
  explicit ChannelTrial(unsigned channels) : channels_(channels) {}

  /// How many channels carry the pages of the window that begins.
  unsigned channels() const;
  /// A window has ended, over which so many bytes went per millisecond.
  void window_ended(double bytes_per_ms);
  double best_bytes_per_ms() const;

 private:
  /// One and all in turns, and one window in front that only warms up.
  static constexpr unsigned trial_windows = 7;
  /// So much more has to come of them for all channels to be used: each costs a thread on both sides.
  static constexpr double worth_it = 1.1;

  const unsigned channels_;
  unsigned windows_ = 0;
  double with_one_ = 0;
  double with_all_ = 0;
};

/// What was measured, and what can be chosen at all.
struct LaneFigures {
  std::uint64_t bandwidth = 0;    ///< bytes per second
  std::uint64_t hot_bytes = 0;    ///< of pages that the guest wrote to in the first pass
  double first_pass_s = 0;        ///< seconds
  std::uint64_t ram_bytes = 0;    ///< of the guest
  std::uint64_t downtime_ms = 0;  ///< that it may stand still
  double zero_share = 0;          ///< of the pages, 0 to 1
  double compressibility = 1;     ///< of samples of the others: bytes before over bytes after
  unsigned channels = 0;          ///< multifd channels the trial is for; 0: without multifd
  bool can_compress = false;      ///< the capability is on
  bool may_throttle = false;      ///< nothing else limits the guest
  std::uint64_t cache_bytes = 0;  ///< that xbzrle has by the parameter
};

schema::AutoLanesInfo choose_lanes(const LaneFigures& figures);

}  // namespace godwit::engine
