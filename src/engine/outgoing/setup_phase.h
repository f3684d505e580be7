// The first phase of an outgoing attempt: the connection, the stream's header, the block list.
#pragma once

#include "channel/address.h"
#include "engine/outgoing/session.h"

namespace godwit::engine {

/// Connects to `address` unless the session has its channel already.
Result<> connect(OutgoingSession& session, const channel::Address& address);

/// Sends everything up to the first page; dirty logging is on and the status is active when it returns.
Result<> set_up(OutgoingSession& session);

}  // namespace godwit::engine
