#include "engine/outgoing/auto_lanes.h"

#include <algorithm>
#include <bit>

#include "base/fail.h"

namespace godwit::engine {
namespace {

/// The cache takes at most this much of what the guest has: 1/4, and 1 GiB.
constexpr std::uint64_t kLargestCache = std::uint64_t{1} << 30;
/// Compressing by less is not worth a thread.
constexpr double kLeastCompressibility = 1.3;

/// A power of two that has room for what is hot: the cache has one slot for each page, so a little more.
std::uint64_t cache_for(const LaneFigures& figures) {
  const std::uint64_t most =
      std::bit_floor(std::max<std::uint64_t>(std::min(figures.ram_bytes / 4, kLargestCache), 4096));
  const std::uint64_t wanted =
      std::bit_ceil(std::clamp<std::uint64_t>(figures.hot_bytes + figures.hot_bytes / 4, 4096, most));
  return std::max(figures.cache_bytes, std::min(wanted, most));
}

}  // namespace

unsigned ChannelTrial::channels() const {
  if (channels_ <= 1) return channels_;
  if (windows_ < trial_windows) return windows_ % 2 == 1 ? 1 : channels_;
  return with_all_ >= worth_it * with_one_ ? channels_ : 1;
}

void ChannelTrial::window_ended(double bytes_per_ms) {
  if (windows_ > 0 && windows_ < trial_windows) {
    double& best = windows_ % 2 == 1 && channels_ > 1 ? with_one_ : with_all_;
    best = std::max(best, bytes_per_ms);
  } else if (windows_ == 0 || channels_ <= 1) {
    with_all_ = std::max(with_all_, bytes_per_ms);
  }
  ++windows_;
}

double ChannelTrial::best_bytes_per_ms() const {
  return std::max(with_one_, with_all_);
}

schema::AutoLanesInfo choose_lanes(const LaneFigures& figures) {
  schema::AutoLanesInfo choice;
  choice.bandwidth = figures.bandwidth;
  if (figures.first_pass_s > 0)
    choice.dirty_rate =
        static_cast<std::uint64_t>(static_cast<double>(figures.hot_bytes) / figures.first_pass_s);
  choice.zero_share = figures.zero_share;
  choice.compressibility = figures.compressibility;
  choice.channels = figures.channels;
  choice.compress = figures.can_compress && figures.compressibility >= kLeastCompressibility;
  const std::uint64_t bearable = figures.bandwidth / 1000 * figures.downtime_ms;
  if (figures.hot_bytes <= bearable) {
    choice.reason = fmt::format("the {} MiB that the guest writes to fit into the downtime: as they are",
                                figures.hot_bytes >> 20);
    return choice;
  }
  choice.auto_converge = figures.may_throttle;
  if (figures.channels > 0) {
    choice.reason =
        fmt::format("{} MiB that the guest writes to: over {} channel(s), throttled if that is not enough",
                    figures.hot_bytes >> 20, figures.channels);
    return choice;
  }
  choice.xbzrle = true;
  choice.compress = false;  // a delta is smaller
  choice.xbzrle_cache_size = cache_for(figures);
  choice.reason = fmt::format(
      "{} MiB that the guest writes to, {} MiB may be left: their differences, throttled if that is not "
      "enough",
      figures.hot_bytes >> 20, bearable >> 20);
  return choice;
}

}  // namespace godwit::engine
