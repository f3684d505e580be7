// What a peer that has not proved who it is has to show before it is let in: the first bytes of what it is
// meant to send.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "channel/channel.h"
#include "channel/interrupt.h"

namespace godwit::channel {

/// How long a peer may take to show it. A source sends it as soon as it is connected.
inline constexpr std::chrono::milliseconds opening_patience{10'000};

struct Opening {
  /// What is known and not let in either, and what to say of it.
  struct Refusal {
    std::string bytes;
    std::string reason;
  };

  std::vector<std::string> any_of;  ///< the first bytes, one way or the other
  std::vector<Refusal> none_of{};
  bool another_follows_silently =
      false;  ///< the same peer opens one more connection, which shows nothing at first
  std::chrono::milliseconds patience = opening_patience;
};

/// Waits until the peer has shown one of them. The bytes are looked at, and are still there to be read. An
/// error says what came instead: other bytes, an end, nothing in time.
Result<> await_opening(Channel& channel, const Opening& opening, const Interrupt& interrupt);

}  // namespace godwit::channel
