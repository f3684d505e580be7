#include "engine/convergence.h"

#include <algorithm>
#include <limits>

namespace godwit::engine {
namespace {

double ms(Nanoseconds duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace

void BandwidthWindow::start(Nanoseconds now, std::uint64_t bytes_sent, std::uint64_t pages_sent,
                            std::uint64_t spared) {
  started_ = now;
  bytes_at_start_ = bytes_sent;
  pages_at_start_ = pages_sent;
  spared_at_start_ = spared;
}

bool BandwidthWindow::update(Nanoseconds now, std::uint64_t bytes_sent, std::uint64_t pages_sent,
                             std::uint64_t downtime_limit_ms, std::uint64_t spared) {
  const Nanoseconds elapsed = now - started_;
  if (elapsed < length) return false;
  window_bytes_ = bytes_sent - bytes_at_start_;
  bytes_per_ms_ = static_cast<double>(window_bytes_) / ms(elapsed);
  // Deltas that are hardly smaller than their pages spare less than nothing.
  const double spared_in_window = static_cast<double>(spared) - static_cast<double>(spared_at_start_);
  const double memory_per_ms = std::max(0.0, bytes_per_ms_ + spared_in_window / ms(elapsed));
  threshold_bytes_ = static_cast<std::uint64_t>(memory_per_ms * static_cast<double>(downtime_limit_ms));
  pages_per_second_ =
      static_cast<std::uint64_t>(static_cast<double>(pages_sent - pages_at_start_) * 1000.0 / ms(elapsed));
  start(now, bytes_sent, pages_sent, spared);
  return true;
}

std::uint64_t BandwidthWindow::quota_left(std::uint64_t bytes_sent, std::uint64_t max_bandwidth) const {
  if (max_bandwidth == 0) return std::numeric_limits<std::uint64_t>::max();
  const std::uint64_t quota = max_bandwidth / 10;
  const std::uint64_t used = bytes_sent - bytes_at_start_;
  // One page always fits, so that the slowest limit still moves.
  return used > quota ? 0 : quota - used + 1;
}

Nanoseconds BandwidthWindow::due_at(std::uint64_t bytes_sent, std::uint64_t max_bandwidth) const {
  if (max_bandwidth == 0) return started_;
  const double seconds =
      static_cast<double>(bytes_sent - bytes_at_start_) / static_cast<double>(max_bandwidth);
  return started_ + std::min(length, Nanoseconds(static_cast<std::int64_t>(std::min(seconds, 1.0) * 1e9)));
}

void DirtyRate::start(Nanoseconds now) {
  started_ = now;
  pages_ = 0;
}

bool DirtyRate::add(Nanoseconds now, std::uint64_t newly_dirty_pages) {
  pages_ += newly_dirty_pages;
  const Nanoseconds elapsed = now - started_;
  if (elapsed <= period) return false;
  pages_per_second_ = static_cast<std::uint64_t>(static_cast<double>(pages_) * 1000.0 / ms(elapsed));
  period_pages_ = pages_;
  start(now);
  return true;
}

}  // namespace godwit::engine
