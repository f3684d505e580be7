#include "vm/accel/vcpu_thread.h"

#include <cassert>
#include <utility>

#include "base/exhaustion.h"
#include "base/thread.h"

namespace godwit::vm {

VcpuThread::VcpuThread(unsigned index, std::unique_ptr<Vcpu> vcpu, VcpuObserver& observer)
    : index_(index), vcpu_(std::move(vcpu)), observer_(observer) {}

VcpuThread::~VcpuThread() {
  shut_down();
}

Result<> VcpuThread::start() {
  thread_ =
      start_thread("vcpu" + std::to_string(index_), [this](const std::stop_token& stop) { loop(stop); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return started_; });
  if (start_error_) return std::unexpected(*start_error_);
  return {};
}

void VcpuThread::shut_down() {
  if (!thread_.joinable()) return;
  assert(!on_own_thread());
  thread_.request_stop();
  request_stop();
  thread_.join();
}

void VcpuThread::resume() {
  {
    const std::lock_guard lock(mutex_);
    want_run_ = true;
  }
  wake_.notify_all();
}

void VcpuThread::request_stop() {
  const std::lock_guard lock(mutex_);
  wake_.notify_all();
  want_run_ = false;
  sleep_ = Nanoseconds{0};
  if (executing_) vcpu_->interrupt();
}

void VcpuThread::wait_until_stopped() {
  if (on_own_thread()) return;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !executing_; });
}

void VcpuThread::call(const std::function<void(Vcpu&)>& work) {
  // On the caller's thread: waking the vCPU's own for it would cost more than its work, right in the
  // blackout.
  const std::lock_guard lock(mutex_);
  assert(!executing_);
  work(*vcpu_);
}

void VcpuThread::unpark() {
  const std::lock_guard lock(mutex_);
  parked_ = false;
  wake_.notify_all();
}

void VcpuThread::request_sleep(Nanoseconds how_long) {
  const std::lock_guard lock(mutex_);
  if (!want_run_ || sleep_ != Nanoseconds{0}) return;
  sleep_ = how_long;
  if (executing_) vcpu_->interrupt();
}

void VcpuThread::cancel_sleep() {
  const std::lock_guard lock(mutex_);
  sleep_ = Nanoseconds{0};
  wake_.notify_all();
}

void VcpuThread::loop(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  thread_id_ = current_thread_id();
  own_thread_ = std::this_thread::get_id();
  if (auto attached = vcpu_->attach(); !attached) start_error_ = std::move(attached).error();
  started_ = true;
  changed_.notify_all();

  while (!stop.stop_requested()) {
    if (!want_run_ || parked_) {
      wake_.wait(lock, stop, [this] { return want_run_ && !parked_; });
    } else if (sleep_ != Nanoseconds{0}) {
      sleep(lock, stop);
    } else {
      execute(lock);
    }
  }
}

void VcpuThread::sleep(std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
  wake_.wait_for(lock, stop, sleep_, [this] { return !want_run_ || sleep_ == Nanoseconds{0}; });
  sleep_ = Nanoseconds{0};
}

void VcpuThread::execute(std::unique_lock<std::mutex>& lock) {
  executing_ = true;
  vcpu_->clear_interrupt();
  lock.unlock();
  // An access to a device may need memory. An instruction cannot be given up, so the guest stops with an
  // error.
  auto exit = or_exhausted([this] { return vcpu_->run(); });
  lock.lock();
  executing_ = false;
  parked_ = !exit || *exit != VcpuExit::interrupted;
  changed_.notify_all();
  if (!parked_ || (exit && *exit == VcpuExit::halted)) return;

  lock.unlock();
  with_reserve([&] {
    if (exit)
      observer_.on_vcpu_reset(index_);
    else
      observer_.on_vcpu_error(index_, exit.error());
  });
  lock.lock();
}

}  // namespace godwit::vm
