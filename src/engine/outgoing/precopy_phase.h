// The second phase of an outgoing attempt: slices of dirty pages while the guest runs, until the rest looks
// small enough (control-plane section 10.1).
#pragma once

#include <cstdint>

#include "engine/outgoing/session.h"

namespace godwit::engine {

enum class PrecopyEnd : std::uint8_t {
  converged,  ///< what is left fits into the downtime limit
  postcopy,   ///< somebody asked for the guest to go now
};

Result<PrecopyEnd> send_while_running(OutgoingSession& session);

}  // namespace godwit::engine
