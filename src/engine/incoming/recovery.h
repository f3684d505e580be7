// What the destination does after the connection broke in postcopy: it waits for the source to come back,
// while the guest runs on with the pages that are here.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "channel/channel.h"
#include "engine/incoming/listener_slot.h"

namespace godwit::engine {

class IncomingRecovery {
 public:
  /// Given each connection that comes, on a thread of this.
  using Connected = std::function<void(std::unique_ptr<channel::Channel>)>;

  IncomingRecovery(ListenerSlot& listener, Connected connected)
      : listener_(listener), connected_(std::move(connected)) {}

  /// The connection is lost: the next one is waited for. From one thread; never before the last wait is over.
  void begin();

 private:
  ListenerSlot& listener_;
  Connected connected_;
  std::jthread thread_;  ///< waits for one connection; the listener's end() ends it
};

}  // namespace godwit::engine
