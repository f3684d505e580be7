// The demo: a guest that writes without pause moves from one VMM process to another, and says itself how that
// was.
#pragma once

#include "cli/demo/audience.h"
#include "cli/demo/report.h"
#include "cli/wait.h"

namespace godwit::cli::demo {

/// Runs it from start to end; nothing of it is left afterwards. `options` have gone through complete(). What
/// went wrong stands in the report.
Report run(const Options& options, Audience& audience, const StopRequest& stop);

}  // namespace godwit::cli::demo
