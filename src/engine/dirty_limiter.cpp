#include "engine/dirty_limiter.h"

#include <algorithm>

#include "base/exhaustion.h"
#include "base/fail.h"
#include "base/log.h"
#include "base/thread.h"

namespace godwit::engine {

double VcpuShare::period_ended(double bytes_per_second, double limit) {
  // Pages count once a period however often they are written, so that a guest which goes over the same pages
  // again and again seems not to heed its share at first; each period it gets less until it does. What it
  // gets back is at most twice as much at once, and nothing while it is close to the limit.
  constexpr double close_enough = 0.9;
  if (bytes_per_second > limit)
    share_ *= limit / bytes_per_second;
  else if (bytes_per_second < close_enough * limit)
    share_ *= bytes_per_second > 0 ? std::min(limit / bytes_per_second, 2.0) : 2.0;
  share_ = std::clamp(share_, least, 1.0);
  return share_;
}

Result<> DirtyLimiter::check(std::optional<std::int64_t> vcpu) const {
  const std::size_t count = guest_.dirty_tracker().pages_by_vcpu().size();
  if (count == 0)
    return fail(
        Error("dirty page limit feature requires KVM with accelerator property 'dirty-ring-size' set'")
            .advise("start the machine with -accel kvm,dirty-ring-size=65536"));
  if (vcpu && (*vcpu < 0 || static_cast<std::uint64_t>(*vcpu) >= count))
    return fail("there is no processor {}: the machine has {}", *vcpu, count);
  return {};
}

Result<> DirtyLimiter::set(std::optional<std::int64_t> vcpu, std::uint64_t mib_per_second,
                           Milliseconds period) {
  GODWIT_TRY(check(vcpu));
  const std::lock_guard control(control_);
  DirtyTracker& tracker = guest_.dirty_tracker();
  GODWIT_TRY(tracker.count_writes(true));
  const std::vector<std::uint64_t> pages = tracker.pages_by_vcpu();
  {
    const std::lock_guard lock(mutex_);
    period_ = period;
    vcpus_.resize(pages.size());
    for (std::size_t i = 0; i < vcpus_.size(); ++i) {
      if (vcpu && static_cast<std::size_t>(*vcpu) != i) continue;
      if (vcpus_[i].limit_mib == 0) vcpus_[i] = {.pages_before = pages[i]};
      vcpus_[i].limit_mib = mib_per_second;
    }
  }
  if (!thread_.joinable()) {
    stop_.clear();
    thread_ = start_thread("dirty-limit", [this](std::stop_token) { run(); });
  }
  return {};
}

Result<> DirtyLimiter::cancel(std::optional<std::int64_t> vcpu) {
  if (vcpu) GODWIT_TRY(check(vcpu));
  const std::lock_guard control(control_);
  std::unique_lock lock(mutex_);
  for (std::size_t i = 0; i < vcpus_.size(); ++i)
    if (!vcpu || static_cast<std::size_t>(*vcpu) == i) lift(i);
  stop_if_idle(lock);
  return {};
}

void DirtyLimiter::cancel_all() noexcept {
  static_cast<void>(cancel(std::nullopt));
}

/// With the lock held.
void DirtyLimiter::lift(std::size_t vcpu) {
  if (vcpus_[vcpu].limit_mib == 0) return;
  vcpus_[vcpu] = {.pages_before = vcpus_[vcpu].pages_before};
  guest_.limit_vcpu(vcpu, 1);
}

/// With control_ held too.
void DirtyLimiter::stop_if_idle(std::unique_lock<std::mutex>& lock) noexcept {
  if (std::ranges::any_of(vcpus_, [](const Vcpu& vcpu) { return vcpu.limit_mib != 0; })) return;
  vcpus_.clear();
  lock.unlock();
  if (!thread_.joinable()) return;
  stop_.set();
  thread_.join();
  if (auto ended = guest_.dirty_tracker().count_writes(false); !ended)
    log::warn("after the limit of dirty pages: {}", ended.error().explain());
}

void DirtyLimiter::run() {
  Nanoseconds before = clock_.now();
  while (true) {
    Nanoseconds period;
    {
      const std::lock_guard lock(mutex_);
      period = period_;
    }
    if (clock_.wait_for(stop_, period)) return;
    const Nanoseconds now = clock_.now();
    // The vCPUs keep the shares they have.
    auto looked = or_exhausted([&]() -> Result<> {
      period_ended(now - before);
      return {};
    });
    if (!looked) log::warn("limiting dirty pages: {}", looked.error().what());
    before = now;
  }
}

void DirtyLimiter::period_ended(Nanoseconds length) {
  DirtyTracker& tracker = guest_.dirty_tracker();
  if (auto counted = tracker.count_writes(true); !counted) {
    log::warn("limiting dirty pages: {}", counted.error().explain());
    return;
  }
  const std::vector<std::uint64_t> pages = tracker.pages_by_vcpu();
  const double seconds = std::chrono::duration<double>(length).count();
  if (seconds <= 0) return;
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < std::min(vcpus_.size(), pages.size()); ++i) {
    Vcpu& vcpu = vcpus_[i];
    // A migration that starts or ends meanwhile counts anew.
    const std::uint64_t written = pages[i] >= vcpu.pages_before ? pages[i] - vcpu.pages_before : pages[i];
    vcpu.pages_before = pages[i];
    vcpu.bytes_per_second = static_cast<double>(written * page_size) / seconds;
    if (vcpu.limit_mib == 0) continue;
    const double share_before = vcpu.share.share();
    const double share =
        vcpu.share.period_ended(vcpu.bytes_per_second, static_cast<double>(vcpu.limit_mib) * (1 << 20));
    if (share != share_before) guest_.limit_vcpu(i, share);
  }
}

std::vector<schema::DirtyLimitInfo> DirtyLimiter::info() const {
  const std::lock_guard lock(mutex_);
  std::vector<schema::DirtyLimitInfo> all;
  for (std::size_t i = 0; i < vcpus_.size(); ++i) {
    schema::DirtyLimitInfo& one = all.emplace_back();
    one.cpu_index = static_cast<std::int64_t>(i);
    one.limit_rate = vcpus_[i].limit_mib;
    one.current_rate = static_cast<std::uint64_t>(vcpus_[i].bytes_per_second / (1 << 20));
  }
  return all;
}

std::chrono::microseconds DirtyLimiter::longest_wait() const {
  const std::lock_guard lock(mutex_);
  double least = 1;
  for (const Vcpu& vcpu : vcpus_) least = std::min(least, vcpu.share.share());
  return std::chrono::duration_cast<std::chrono::microseconds>((1 - least) *
                                                               std::chrono::duration<double>(period_));
}

}  // namespace godwit::engine
