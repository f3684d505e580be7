// The interactive monitor client.
#pragma once

#include "cli/qmp/session.h"

namespace godwit::cli::qmp {

/// Reads commands from the terminal until Ctrl-D or /quit, or until the monitor goes. Returns the exit
/// status.
int run_shell(Session& session, const StopRequest& stop);

}  // namespace godwit::cli::qmp
