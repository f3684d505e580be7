// How a subcommand of the tool is added and run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "cli/wait.h"

namespace godwit::cli {

/// What the command line asks for. Returns the exit status.
using CommandToRun = std::function<int(const StopRequest&)>;

constexpr int exit_success = 0;
constexpr int exit_failure = 1;
/// Of subcommands for scripts, whose 1 says what the peer answered.
constexpr int exit_usage = 2;
/// Of subcommands whose 1 is an answer too: there was none.
constexpr int exit_trouble = 2;

}  // namespace godwit::cli
