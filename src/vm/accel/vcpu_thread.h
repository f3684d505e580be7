// The thread of one vCPU: runs it, stops it exactly, lets it sleep when throttled.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <godwit/clock.h>

#include "vm/accel/accelerator.h"

namespace godwit::vm {

/// Told, on the vCPU's thread and with no lock held, when a vCPU stops by itself. It is parked by then:
/// stop() does not wait for the call, and it executes nothing until unpark().
class VcpuObserver {
 public:
  virtual ~VcpuObserver() = default;
  virtual void on_vcpu_reset(unsigned index) = 0;
  virtual void on_vcpu_error(unsigned index, const Error& error) = 0;
};

/// Thread-safe. Starts stopped.
class VcpuThread {
 public:
  VcpuThread(unsigned index, std::unique_ptr<Vcpu> vcpu, VcpuObserver& observer);
  ~VcpuThread();
  VcpuThread(const VcpuThread&) = delete;
  VcpuThread& operator=(const VcpuThread&) = delete;

  /// Starts the thread and attaches the vCPU to it.
  Result<> start();
  /// Ends the thread and joins it. Not from the vCPU's own thread.
  void shut_down();

  void resume();
  void request_stop();
  /// Waits until no guest code executes. Only after request_stop(). Returns at once on the vCPU's own thread.
  void wait_until_stopped();

  /// Gives `work` the vCPU, on the calling thread. Only while stopped: it does not execute before `work` is
  /// done.
  void call(const std::function<void(Vcpu&)>& work);
  /// Lets a vCPU that stopped by itself execute again; for after a new state was set.
  void unpark();

  /// Asks the vCPU to sleep once for `how_long`; dropped if it is stopped or has not yet slept for the last
  /// request. A stop ends the sleep.
  void request_sleep(Nanoseconds how_long);
  /// Ends a sleep early and drops a request.
  void cancel_sleep();

  int thread_id() const { return thread_id_; }
  unsigned index() const { return index_; }

 private:
  void loop(const std::stop_token& stop);
  void execute(std::unique_lock<std::mutex>& lock);
  void sleep(std::unique_lock<std::mutex>& lock, const std::stop_token& stop);
  bool on_own_thread() const { return std::this_thread::get_id() == own_thread_; }

  const unsigned index_;
  const std::unique_ptr<Vcpu> vcpu_;
  VcpuObserver& observer_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable_any wake_;
  std::condition_variable changed_;
  bool started_ = false;
  bool want_run_ = false;
  bool executing_ = false;
  bool parked_ = false;
  Nanoseconds sleep_{0};
  std::optional<Error> start_error_;

  int thread_id_ = 0;
  std::thread::id own_thread_;
  std::jthread thread_;
};

}  // namespace godwit::vm
