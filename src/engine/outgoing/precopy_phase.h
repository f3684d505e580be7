// The second phase of an outgoing attempt: slices of dirty pages while the guest runs, until the rest looks
// small enough (control-plane section 10.1).
#pragma once

#include "engine/outgoing/session.h"

namespace godwit::engine {

Result<> send_while_running(OutgoingSession& session);

}  // namespace godwit::engine
