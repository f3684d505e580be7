// Gives each vCPU only a share of its time: it runs for a moment, then sleeps.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include <godwit/clock.h>

namespace godwit::vm {

/// How a share of a vCPU's time is dealt out. Plain arithmetic.
struct RunAndSleep {
  Nanoseconds run{0};
  Nanoseconds sleep{0};
};
RunAndSleep deal_out(double share);

/// Thread-safe. A thread of its own, `vcpu-limit`, as long as a vCPU is limited or was.
class VcpuLimiter {
 public:
  /// `sleep` lets a vCPU sleep once; asked on the limiter's thread.
  explicit VcpuLimiter(std::function<void(std::size_t vcpu, Nanoseconds how_long)> sleep)
      : sleep_(std::move(sleep)) {}
  ~VcpuLimiter() { shut_down(); }
  VcpuLimiter(const VcpuLimiter&) = delete;
  VcpuLimiter& operator=(const VcpuLimiter&) = delete;

  /// Above 0 and at most 1, which ends it; the caller ends a sleep that has begun.
  void limit(std::size_t vcpu, double share);
  void shut_down();

 private:
  struct Limit {
    RunAndSleep turn;
    std::chrono::steady_clock::time_point next;  ///< when it has run long enough
  };
  void run(const std::stop_token& stop);

  const std::function<void(std::size_t, Nanoseconds)> sleep_;
  std::mutex mutex_;  ///< guards what follows
  std::condition_variable_any changed_;
  std::map<std::size_t, Limit> limits_;
  bool fresh_ = false;  ///< a limit has changed since the thread looked
  std::jthread thread_;
};

}  // namespace godwit::vm
