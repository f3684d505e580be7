// What x-auto-lanes has chosen, for who asks: any thread.
#pragma once

#include <mutex>
#include <optional>

#include <godwit/schema/types.h>

namespace godwit::engine {

class AutoLanesReport {
 public:
  void set(schema::AutoLanesInfo info) {
    const std::lock_guard lock(mutex_);
    info_ = std::move(info);
  }
  /// Empty while nothing was chosen.
  std::optional<schema::AutoLanesInfo> get() const {
    const std::lock_guard lock(mutex_);
    return info_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<schema::AutoLanesInfo> info_;
};

}  // namespace godwit::engine
