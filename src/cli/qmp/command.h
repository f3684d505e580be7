// `godwit qmp` on the command line.
#pragma once

#include "cli/command.h"

namespace godwit::cli::qmp {

/// Adds the subcommand to `application`; `run` is set to it if the operator chose it.
void add_command(CLI::App& application, CommandToRun& run);

}  // namespace godwit::cli::qmp
