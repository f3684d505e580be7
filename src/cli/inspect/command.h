// `godwit inspect`: the command line.
#pragma once

#include "cli/command.h"

namespace godwit::cli::inspect {

void add_command(CLI::App& application, CommandToRun& run);

}  // namespace godwit::cli::inspect
