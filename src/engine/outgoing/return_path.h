// The source's ear: reads what the destination says on the return path (wire-format section 7.1).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>

#include <godwit/result.h>

#include "base/clock.h"
#include "channel/channel.h"
#include "wire/return_path.h"

namespace godwit::engine {

/// Reads on a thread of its own until SHUT, the end of the channel or an error. Ends when the channel is shut
/// down.
class ReturnPath {
 public:
  explicit ReturnPath(channel::Channel& channel);

  /// Waits until the destination has answered PING `value`: it has read, and loaded, everything sent before
  /// the PING.
  Result<> wait_for_pong(std::uint32_t value);

  /// Waits for SHUT. True: the destination runs the guest. False: it has said that it does not. An error
  /// means that it said neither: nobody here knows.
  Result<bool> wait_for_verdict();

 private:
  void read_messages();
  void finish(Result<bool> verdict);

  channel::Channel& channel_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<std::uint32_t> last_pong_;
  std::optional<Result<bool>> verdict_;
  std::jthread thread_;  // last: it uses the members above
};

}  // namespace godwit::engine
