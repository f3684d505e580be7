// After the move: is every word the guest wrote still there, how long did it stand still, and does it run on?
#pragma once

#include "cli/demo/audience.h"
#include "cli/demo/machine.h"
#include "cli/demo/report.h"

namespace godwit::cli::demo {

/// Waits, at most `limit`, until the guest's loop has turned. False: it did not.
Result<bool> guest_runs(GuestMemory& memory, Milliseconds limit, const StopRequest& stop);

/// Examines the guest that arrived at `destination`. `before` are its counters from before the move.
Result<Findings> verify(Machine& destination, const WitnessParameters& parameters, const WitnessInfo& before,
                        const GuestClock& clock, const MoveResult& move, Audience& audience,
                        const StopRequest& stop);

}  // namespace godwit::cli::demo
