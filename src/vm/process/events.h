// The events of the control interface, on their way to the monitors.
#pragma once

#include <mutex>

#include <godwit/schema/commands.h>

#include "qmp/monitor.h"

namespace godwit::vm {

/// Thread-safe. Events before connect() and after disconnect() are lost: there is nobody to hear them.
class Events {
 public:
  /// `monitor` outlives the connection.
  void connect(qmp::Monitor& monitor) { set(&monitor); }
  void disconnect() { set(nullptr); }

  template <typename Event>
  void emit(const typename Event::Data& data = {}) {
    const std::lock_guard lock(mutex_);
    if (monitor_) monitor_->emit<Event>(data);
  }

 private:
  void set(qmp::Monitor* monitor) {
    const std::lock_guard lock(mutex_);
    monitor_ = monitor;
  }

  std::mutex mutex_;
  qmp::Monitor* monitor_ = nullptr;
};

}  // namespace godwit::vm
