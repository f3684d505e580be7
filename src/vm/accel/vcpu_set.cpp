#include "vm/accel/vcpu_set.h"

#include <algorithm>

#include "base/thread.h"

namespace godwit::vm {
namespace {

/// How long a throttled vCPU runs between two sleeps.
constexpr double run_slice_ns = 10e6;

Nanoseconds sleep_time(int percent) {
  const double share = percent / 100.0;
  return Nanoseconds(static_cast<std::int64_t>(run_slice_ns * share / (1 - share)));
}

Nanoseconds tick_time(int percent) {
  return sleep_time(percent) + Nanoseconds(static_cast<std::int64_t>(run_slice_ns));
}

}  // namespace

Result<> VcpuSet::create(Accelerator& accelerator, unsigned count, Bus& bus, VcpuObserver& observer) {
  for (unsigned index = 0; index < count; ++index) {
    GODWIT_ASSIGN(auto vcpu, accelerator.create_vcpu(index, bus));
    threads_.push_back(std::make_unique<VcpuThread>(index, std::move(vcpu), observer));
    GODWIT_TRY(threads_.back()->start());
  }
  return {};
}

void VcpuSet::resume() {
  for (auto& thread : threads_) thread->resume();
}

void VcpuSet::stop() {
  for (auto& thread : threads_) thread->request_stop();
  for (auto& thread : threads_) thread->wait_until_stopped();
}

void VcpuSet::request_stop() {
  for (auto& thread : threads_) thread->request_stop();
}

void VcpuSet::shut_down() {
  if (throttle_thread_.joinable()) {
    throttle_thread_.request_stop();
    throttle_thread_.join();
  }
  limiter_.shut_down();
  request_stop();
  for (auto& thread : threads_) thread->shut_down();
}

void VcpuSet::set_throttle(int percent) {
  const std::lock_guard lock(throttle_mutex_);
  throttle_percent_ = percent <= 0 ? 0 : std::clamp(percent, 1, 99);
  if (throttle_percent_ == 0) {
    for (auto& thread : threads_) thread->cancel_sleep();
  } else if (!throttle_thread_.joinable()) {
    throttle_thread_ = start_thread("throttle", [this](const std::stop_token& stop) { throttle(stop); });
  }
  throttle_changed_.notify_all();
}

void VcpuSet::limit(std::size_t index, double share) {
  if (index >= threads_.size()) return;
  limiter_.limit(index, share);
  if (share >= 1) threads_[index]->cancel_sleep();
}

void VcpuSet::throttle(const std::stop_token& stop) {
  std::unique_lock lock(throttle_mutex_);
  while (!stop.stop_requested()) {
    const int percent = throttle_percent_;
    const auto changed = [this, percent] { return throttle_percent_ != percent; };
    if (percent == 0) {
      throttle_changed_.wait(lock, stop, changed);
      continue;
    }
    if (throttle_changed_.wait_for(lock, stop, tick_time(percent), changed)) continue;
    for (auto& thread : threads_) thread->request_sleep(sleep_time(percent));
  }
}

}  // namespace godwit::vm
