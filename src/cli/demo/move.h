// The move itself: sets both sides up, starts it, watches it to its end.
#pragma once

#include "cli/demo/audience.h"
#include "cli/demo/machine.h"
#include "cli/demo/report.h"
#include "cli/demo/route.h"

namespace godwit::cli::demo {

/// Moves the guest over `route`. An error: a machine does not do what it must. A move that fails or does not
/// come to an end in time is no error: `completed` says so, and why is in `problem`.
struct MoveOutcome {
  MoveResult result;
  std::string problem;  ///< empty if the guest moved
};
Result<MoveOutcome> move_guest(Machine& source, Machine& destination, const Route& route,
                               const Options& options, Audience& audience, const StopRequest& stop);

}  // namespace godwit::cli::demo
