#include "vm/guest_timers.h"

#include <algorithm>
#include <utility>

#include "base/thread.h"

namespace godwit::vm {

void GuestTimer::arm(std::int64_t when_ns) {
  // What comes out of a stream may be any number; before the beginning is past.
  if (when_ns < 0 && when_ns != never) when_ns = 0;
  const std::lock_guard lock(owner_.mutex_);
  if (when_ == when_ns) return;
  when_ = when_ns;
  owner_.changed_.notify_all();
}

GuestTimers::~GuestTimers() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

GuestTimer& GuestTimers::add(GuestTime::Base base, std::function<void()> expired) {
  const std::lock_guard lock(mutex_);
  timers_.push_back(GuestTimer(*this, base, std::move(expired)));
  return timers_.back();
}

void GuestTimers::resume() {
  const std::lock_guard lock(mutex_);
  running_ = true;
  // A machine without timers needs no thread for them.
  if (!timers_.empty() && !thread_.joinable())
    thread_ = start_thread("timers", [this](const std::stop_token& stop) { loop(stop); });
  changed_.notify_all();
}

void GuestTimers::pause() {
  std::unique_lock lock(mutex_);
  running_ = false;
  changed_.notify_all();
  changed_.wait(lock, [this] { return !calling_; });
}

GuestTimer* GuestTimers::next(std::int64_t& distance_ns) {
  GuestTimer* first = nullptr;
  for (GuestTimer& timer : timers_) {
    if (timer.when_ == GuestTimer::never) continue;
    const std::int64_t now = time_.now_ns(timer.base_);
    const std::int64_t distance = timer.when_ - now;
    if (first && distance >= distance_ns) continue;
    first = &timer;
    distance_ns = distance;
  }
  return first;
}

void GuestTimers::expire(GuestTimer& timer, std::unique_lock<std::mutex>& lock) {
  timer.when_ = GuestTimer::never;
  calling_ = true;
  lock.unlock();
  timer.expired_();
  lock.lock();
  calling_ = false;
  changed_.notify_all();
}

void GuestTimers::run_due() {
  std::unique_lock lock(mutex_);
  std::int64_t distance = 0;
  while (GuestTimer* timer = next(distance)) {
    if (distance > 0) return;
    expire(*timer, lock);
  }
}

void GuestTimers::loop(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    std::int64_t distance = 0;
    GuestTimer* timer = running_ ? next(distance) : nullptr;
    if (!timer) {
      // Woken by every change: what to wait for is found out anew.
      bool woken = false;
      changed_.wait(lock, stop, [&woken] { return std::exchange(woken, true); });
    } else if (distance > 0) {
      constexpr std::int64_t hour = 3'600'000'000'000;
      bool woken = false;
      changed_.wait_for(lock, stop, Nanoseconds(std::min(distance, hour)),
                        [&woken] { return std::exchange(woken, true); });
    } else {
      expire(*timer, lock);
    }
  }
}

}  // namespace godwit::vm
