// The main loop of a test: a thread that runs what it is given, in order.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "base/thread.h"

namespace godwit::qmp::testing {

class MainLoop {
 public:
  MainLoop() : thread_(start_thread("test-main", [this](const std::stop_token& stop) { run(stop); })) {}

  void post(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      work_.push_back(std::move(work));
    }
    changed_.notify_one();
  }

  std::function<void(std::function<void()>)> executor() {
    return [this](std::function<void()> work) { post(std::move(work)); };
  }

 private:
  void run(const std::stop_token& stop) {
    for (;;) {
      std::function<void()> next;
      {
        std::unique_lock lock(mutex_);
        if (!changed_.wait(lock, stop, [this] { return !work_.empty(); })) return;
        next = std::move(work_.front());
        work_.pop_front();
      }
      next();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::function<void()>> work_;
  std::jthread thread_;
};

}  // namespace godwit::qmp::testing
