#include "engine/incoming/listener_slot.h"

#include <utility>

#include "base/fail.h"
#include "base/log.h"

namespace godwit::engine {

Result<std::unique_ptr<channel::Channel>> ListenerSlot::accept() {
  const auto listener = take();
  if (!listener) return fail("The listener was closed");
  return listener->accept();
}

Result<std::unique_ptr<channel::Channel>> ListenerSlot::accept_from_any() {
  while (true) {
    std::shared_ptr<channel::Listener> listener;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ended_ || listener_; });
      if (ended_) return fail("No connection is wanted any more");
      listener = listener_;
    }
    auto channel = listener->accept();
    if (channel) return channel;
    std::lock_guard lock(mutex_);
    if (listener_ != listener) continue;  // closed or replaced meanwhile
    log::warn("cannot listen for the source any more: {}", channel.error().what());
    listener_.reset();
  }
}

void ListenerSlot::put(std::shared_ptr<channel::Listener> listener) {
  close();
  {
    std::lock_guard lock(mutex_);
    if (!ended_) listener_ = std::move(listener);
  }
  changed_.notify_all();
}

void ListenerSlot::close() {
  std::shared_ptr<channel::Listener> old;
  {
    std::lock_guard lock(mutex_);
    old = std::exchange(listener_, nullptr);
  }
  if (old) old->close();
}

void ListenerSlot::turn_away() {
  std::shared_ptr<channel::Listener> old;
  {
    std::lock_guard lock(mutex_);
    old = std::exchange(listener_, nullptr);
    if (old) last_addresses_ = old->addresses();
    ended_ = true;
  }
  changed_.notify_all();
  if (old) old->close();
}

void ListenerSlot::end() {
  close();
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    last_addresses_.clear();
  }
  changed_.notify_all();
}

std::vector<channel::ListeningAddress> ListenerSlot::addresses() const {
  std::lock_guard lock(mutex_);
  return listener_ ? listener_->addresses() : last_addresses_;
}

bool ListenerSlot::multi_channel() const {
  const auto listener = take();
  return listener && listener->multi_channel();
}

bool ListenerSlot::ended() const {
  std::lock_guard lock(mutex_);
  return ended_;
}

std::shared_ptr<channel::Listener> ListenerSlot::take() const {
  std::lock_guard lock(mutex_);
  return listener_;
}

}  // namespace godwit::engine
