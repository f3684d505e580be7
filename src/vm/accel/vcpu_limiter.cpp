#include "vm/accel/vcpu_limiter.h"

#include <algorithm>

#include "base/thread.h"

namespace godwit::vm {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

/// A turn of running and sleeping takes so long, unless that leaves less to run than a vCPU needs to come to
/// anything.
constexpr double turn_ns = 100e6;
constexpr double shortest_run_ns = 200e3;

}  // namespace

RunAndSleep deal_out(double share) {
  const double run = std::max(turn_ns * share, shortest_run_ns);
  return {.run = Nanoseconds(static_cast<std::int64_t>(run)),
          .sleep = Nanoseconds(static_cast<std::int64_t>(run * (1 - share) / share))};
}

void VcpuLimiter::limit(std::size_t vcpu, double share) {
  const std::lock_guard lock(mutex_);
  if (share >= 1) {
    limits_.erase(vcpu);
  } else {
    const RunAndSleep turn = deal_out(share);
    Limit& limit = limits_[vcpu];
    // A vCPU that is limited already goes on with its turn.
    if (limit.turn.run == Nanoseconds{0}) limit.next = std::chrono::steady_clock::now() + turn.run;
    limit.turn = turn;
    if (!thread_.joinable())
      thread_ = start_thread("vcpu-limit", [this](const std::stop_token& stop) { run(stop); });
  }
  fresh_ = true;
  changed_.notify_all();
}

void VcpuLimiter::shut_down() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void VcpuLimiter::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const auto changed = [this] { return fresh_; };
  while (!stop.stop_requested()) {
    fresh_ = false;
    if (limits_.empty()) {
      changed_.wait(lock, stop, changed);
      continue;
    }
    const auto first =
        std::ranges::min_element(limits_, {}, [](const auto& entry) { return entry.second.next; });
    if (changed_.wait_until(lock, stop, first->second.next, changed)) continue;
    const SteadyTime now = std::chrono::steady_clock::now();
    for (auto& [vcpu, limit] : limits_) {
      if (limit.next > now) continue;
      sleep_(vcpu, limit.turn.sleep);
      limit.next = now + limit.turn.sleep + limit.turn.run;
    }
  }
}

}  // namespace godwit::vm
