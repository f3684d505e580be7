// The source's ear: reads what the destination says on the return path (wire-format section 7.1).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include <godwit/dirty_bitmap.h>
#include <godwit/result.h>

#include "channel/channel.h"
#include "channel/channel_input.h"
#include "wire/return_path.h"

namespace godwit::engine {

/// Reads on the migration thread, so that an answer wakes nobody else. Waiting ends when the channel is shut
/// down.
class ReturnPath {
 public:
  explicit ReturnPath(channel::Channel& channel) : in_(channel, Input::window_limit) {}

  /// Waits until the destination has answered PING `value`: it has read, and loaded, everything sent before
  /// the PING.
  Result<> wait_for_pong(std::uint32_t value);

  /// Waits for SHUT. True: the destination runs the guest. False: it has said that it does not. An error
  /// means that it said neither: nobody here knows.
  Result<bool> wait_for_verdict();

  /// The next message, whatever it is. Waits for it.
  Result<wire::ReturnMessage> next();
  /// A message is here, at least its start.
  bool has_bytes() const { return in_.has_bytes(); }
  /// The same, having fetched what has come.
  bool fetch() { return in_.fetch(); }
  /// What follows ReceivedBitmap.
  Result<> read_bitmap(DirtyBitmap& received);

  /// It has answered as only a Godwit does (greeting.h).
  bool peer_is_godwit() const { return peer_is_godwit_; }

 private:
  channel::ChannelInput in_;
  bool peer_is_godwit_ = false;
};

}  // namespace godwit::engine
