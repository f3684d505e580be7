// All vCPUs of a machine: started, stopped and throttled together.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "vm/accel/vcpu_limiter.h"
#include "vm/accel/vcpu_thread.h"

namespace godwit::vm {

/// Thread-safe but for create() and shut_down().
class VcpuSet {
 public:
  VcpuSet() = default;
  ~VcpuSet() { shut_down(); }

  /// Makes `count` vCPUs and their threads, stopped. What is given outlives this.
  Result<> create(Accelerator& accelerator, unsigned count, Bus& bus, VcpuObserver& observer);

  void resume();
  /// When it returns no vCPU executes.
  void stop();
  /// Does not wait: they stop as soon as they can.
  void request_stop();
  void shut_down();

  /// 0 ends throttling; 1 to 99 is the share of time that each vCPU sleeps (control-plane section 10.5).
  void set_throttle(int percent);

  /// The share of its time that one vCPU may run, above 0 and at most 1, which lifts the limit.
  void limit(std::size_t index, double share);

  std::size_t size() const { return threads_.size(); }
  VcpuThread& operator[](std::size_t index) { return *threads_[index]; }
  const VcpuThread& operator[](std::size_t index) const { return *threads_[index]; }

 private:
  void throttle(const std::stop_token& stop);

  std::vector<std::unique_ptr<VcpuThread>> threads_;

  std::mutex throttle_mutex_;  // guards what follows
  std::condition_variable_any throttle_changed_;
  int throttle_percent_ = 0;
  std::jthread throttle_thread_;

  VcpuLimiter limiter_{
      [this](std::size_t index, Nanoseconds how_long) { threads_[index]->request_sleep(how_long); }};
};

}  // namespace godwit::vm
