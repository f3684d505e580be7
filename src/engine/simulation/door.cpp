#include "engine/simulation/door.h"

#include <utility>

#include "base/fail.h"

namespace godwit::engine::simulation {

bool Door::put(std::unique_ptr<channel::Channel> channel) {
  std::lock_guard lock(mutex_);
  if (closed_) return false;
  waiting_.push_back(std::move(channel));
  changed_.notify_all();
  return true;
}

Result<std::unique_ptr<channel::Channel>> Door::take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
  if (closed_) return fail("The listener was closed");
  auto channel = std::move(waiting_.front());
  waiting_.pop_front();
  return channel;
}

void Door::close() noexcept {
  std::deque<std::unique_ptr<channel::Channel>> dropped;
  std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(waiting_);
  changed_.notify_all();
}

}  // namespace godwit::engine::simulation
