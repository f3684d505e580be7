// Where the destination listens. The listener may be closed and replaced while a thread waits for it.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "channel/listener.h"

namespace godwit::engine {

/// Thread-safe.
class ListenerSlot {
 public:
  explicit ListenerSlot(std::shared_ptr<channel::Listener> listener) : listener_(std::move(listener)) {}

  /// The next channel of the listener that is here now.
  Result<std::unique_ptr<channel::Channel>> accept();
  /// The next channel of whatever listener is or comes here. Fails only after end().
  Result<std::unique_ptr<channel::Channel>> accept_from_any();

  void put(std::shared_ptr<channel::Listener> listener);
  /// Gives the addresses up.
  void close();
  /// No channel is wanted any more. When it returns, those that nobody has accepted are closed. Where it
  /// listened is still told.
  void turn_away();
  /// Neither a channel nor the addresses are wanted any more.
  void end();

  std::vector<channel::ListeningAddress> addresses() const;
  bool multi_channel() const;
  /// end() or turn_away() was called.
  bool ended() const;

 private:
  std::shared_ptr<channel::Listener> take() const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<channel::Listener> listener_;
  std::vector<channel::ListeningAddress> last_addresses_;  ///< while turned away
  bool ended_ = false;
};

}  // namespace godwit::engine
