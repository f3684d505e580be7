// How a blocking call is given up from another thread.
#pragma once

#include <atomic>

#include "base/system.h"

namespace godwit::channel {

/// Handed to calls that may wait for the outside world. Once interrupted it stays so. Thread-safe.
class Interrupt {
 public:
  void interrupt() noexcept {
    interrupted_.store(true, std::memory_order_release);
    wake_.wake();
  }
  bool interrupted() const noexcept { return interrupted_.load(std::memory_order_acquire); }
  /// Readable once interrupted.
  int fd() const { return wake_.fd(); }

 private:
  std::atomic<bool> interrupted_{false};
  WakeFd wake_;
};

}  // namespace godwit::channel
