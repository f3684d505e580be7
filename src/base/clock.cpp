#include "base/clock.h"

namespace godwit {

void Event::set() {
  // With the lock held: who waits may end the event's life as soon as it sees that it is set.
  std::lock_guard lock(mutex_);
  set_ = true;
  changed_.notify_all();
}

void Event::clear() {
  std::lock_guard lock(mutex_);
  set_ = false;
}

bool Event::is_set() const {
  std::lock_guard lock(mutex_);
  return set_;
}

void Event::wait() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return set_; });
}

Nanoseconds SteadyClock::now() const {
  return std::chrono::steady_clock::now().time_since_epoch();
}

bool SteadyClock::wait_for(const Event& event, Nanoseconds how_long) {
  std::unique_lock lock(event.mutex_);
  // A wait until a time point of the steady clock: sanitizers follow it, and the system clock may jump.
  const auto until = std::chrono::steady_clock::now() + how_long;
  return event.changed_.wait_until(lock, until, [&event] { return event.set_; });
}

Nanoseconds VirtualClock::now() const {
  std::lock_guard lock(mutex_);
  return now_;
}

bool VirtualClock::wait_for(const Event& event, Nanoseconds how_long) {
  if (event.is_set()) return true;
  advance(how_long);
  return event.is_set();
}

void VirtualClock::advance(Nanoseconds how_long) {
  std::lock_guard lock(mutex_);
  now_ += how_long;
}

}  // namespace godwit
