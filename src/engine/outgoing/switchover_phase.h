// The last phase of a precopy: the guest stops, the rest of RAM and the devices follow, and the guest is
// handed over.
#pragma once

#include "engine/outgoing/session.h"

namespace godwit::engine {

/// When it returns without an error, the guest belongs to the destination. After an error the session's
/// Ownership says whether it may run here.
Result<> switch_over(OutgoingSession& session);

}  // namespace godwit::engine
