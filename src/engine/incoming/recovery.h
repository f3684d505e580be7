// The destination's door in postcopy: whoever connects is passed on, a source that comes back after the
// connection broke above all.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "channel/channel.h"
#include "engine/incoming/listener_slot.h"

namespace godwit::engine {

class IncomingRecovery {
 public:
  /// Given each connection that comes, on the thread of this.
  using Connected = std::function<void(std::unique_ptr<channel::Channel>)>;

  IncomingRecovery(ListenerSlot& listener, Connected connected)
      : listener_(listener), connected_(std::move(connected)) {}

  void start();

 private:
  ListenerSlot& listener_;
  Connected connected_;
  std::jthread thread_;  ///< the listener's end() ends it
};

}  // namespace godwit::engine
