// The channel of a migration: one thread uses it, any thread may shut it down.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "channel/channel.h"

namespace godwit::engine {

class ChannelSlot {
 public:
  /// `shut_down`: somebody wanted it shut down before it was here.
  void put(std::unique_ptr<channel::Channel> channel, bool shut_down) {
    std::lock_guard lock(mutex_);
    channel_ = std::move(channel);
    if (channel_ && shut_down) channel_->shutdown();
  }
  /// The using thread only.
  channel::Channel* get() const { return channel_.get(); }
  /// Empties the slot.
  std::unique_ptr<channel::Channel> take() {
    std::lock_guard lock(mutex_);
    return std::move(channel_);
  }
  void shutdown() noexcept {
    std::lock_guard lock(mutex_);
    if (channel_) channel_->shutdown();
  }
  /// The using thread only.
  void close() noexcept {
    std::lock_guard lock(mutex_);
    channel_.reset();
  }

 private:
  mutable std::mutex mutex_;
  std::unique_ptr<channel::Channel> channel_;
};

}  // namespace godwit::engine
