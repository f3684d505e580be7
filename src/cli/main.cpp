// The operator's tool.
#include <cstdio>
#include <exception>

#include "base/log.h"
#include "cli/command.h"
#include "cli/demo/command.h"
#include "cli/inspect/command.h"
#include "cli/qmp/command.h"

namespace {

using godwit::cli::exit_failure;
using godwit::cli::exit_success;
using godwit::cli::exit_usage;

int run(int argc, char** argv) {
  CLI::App application("Godwit moves running virtual machines.", "godwit");
  application.set_version_flag("--version,-V", "godwit " GODWIT_VERSION);
  application.require_subcommand(1);
  godwit::cli::CommandToRun command;
  godwit::cli::demo::add_command(application, command);
  godwit::cli::inspect::add_command(application, command);
  godwit::cli::qmp::add_command(application, command);
  try {
    application.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (application.exit(error) == 0) return exit_success;
    return application.got_subcommand("qmp") ? exit_usage : exit_failure;
  }
  auto stop = godwit::cli::StopRequest::from_signals();
  if (!stop) {
    std::fprintf(stderr, "godwit: %s\n", stop.error().explain().c_str());
    return exit_failure;
  }
  return command(*stop);
}

}  // namespace

int main(int argc, char** argv) {
  godwit::log::start("godwit");
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "godwit: %s\n", error.what());
    return exit_failure;
  }
}
