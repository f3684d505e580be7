// A listener that gives only channels whose peer has proved who it is, where that is asked for, or else has
// shown that it speaks as a source does.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "channel/listener.h"
#include "channel/opening.h"
#include "channel/tls/tls_channel.h"

namespace godwit::channel {

/// Asked for every connection: how its peer has to prove who it is. Unset: not at all. An error drops the
/// connection. Thread-safe.
using TlsPolicy = std::function<Result<std::optional<TlsServer>>()>;

/// Asked for every connection without TLS: what it has to show. Thread-safe.
using OpeningPolicy = std::function<Opening()>;

/// Peers that were not let in yet are looked after side by side, at most `most_handshakes` of them: a
/// stranger who connects and says nothing does not keep the real source waiting, and does not use up more
/// than that. A peer that fails to prove itself is dropped with a line in the log; listening goes on. Without
/// `opening`, and where there is one channel only, a peer is let in as soon as it has proved itself, or at
/// once.
///
/// Where a source opens another connection that is silent, both come in together, the one that speaks first:
/// with TLS handshakes end in any order. One that speaks and whose second does not come is not let in.
constexpr std::size_t most_handshakes = 64;

/// Throws std::system_error where the thread that accepts cannot be had.
std::unique_ptr<Listener> make_tls_listener(std::unique_ptr<Listener> listener, TlsPolicy policy,
                                            OpeningPolicy opening = nullptr);

}  // namespace godwit::channel
