// A listener that gives only channels whose peer has proved who it is, where that is asked for.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "channel/listener.h"
#include "channel/tls/tls_channel.h"

namespace godwit::channel {

/// Asked for every connection: how its peer has to prove who it is. Unset: not at all. An error drops the
/// connection. Thread-safe.
using TlsPolicy = std::function<Result<std::optional<TlsServer>>()>;

/// Handshakes run side by side, at most `most_handshakes` of them: a stranger who connects and says nothing
/// does not keep the real source waiting, and does not use up more than that. A connection whose handshake
/// fails is dropped with a line in the log; listening goes on.
constexpr std::size_t most_handshakes = 64;

std::unique_ptr<Listener> make_tls_listener(std::unique_ptr<Listener> listener, TlsPolicy policy);

}  // namespace godwit::channel
