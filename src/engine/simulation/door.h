// Where a destination waits for connections: the network puts them in front of it, the engine's listener
// takes them.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "channel/channel.h"
#include "channel/listener.h"

namespace godwit::engine::simulation {

/// Thread-safe.
class Door {
 public:
  /// False: nobody listens any more.
  bool put(std::unique_ptr<channel::Channel> channel);
  Result<std::unique_ptr<channel::Channel>> take();
  void close() noexcept;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<channel::Channel>> waiting_;
  bool closed_ = false;
};

class SimListener final : public channel::Listener {
 public:
  explicit SimListener(std::shared_ptr<Door> door) : door_(std::move(door)) {}
  ~SimListener() override { close(); }
  Result<std::unique_ptr<channel::Channel>> accept() override { return door_->take(); }
  void close() noexcept override { door_->close(); }
  std::vector<channel::ListeningAddress> addresses() const override { return {}; }
  bool multi_channel() const override { return true; }

 private:
  const std::shared_ptr<Door> door_;
};

}  // namespace godwit::engine::simulation
