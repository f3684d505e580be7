#include "cli/qmp/command.h"

#include <memory>
#include <unistd.h>

#include "base/fail.h"
#include "cli/qmp/address.h"
#include "cli/qmp/one_shot.h"
#include "cli/qmp/shell.h"

namespace godwit::cli::qmp {
namespace {

struct Request {
  std::string address;
  OneShot wanted;
};

int run_command(const Request& request, const StopRequest& stop) {
  const auto time = request.wanted.timeout.value_or(std::chrono::milliseconds(10'000));
  const auto address = parse_address(request.address);
  auto session = address ? Session::open(*address, after(time), stop)
                         : Result<Session>(std::unexpected(address.error()));
  if (!session) {
    complain(session.error());
    return exit_unusable;
  }
  const bool one_shot = !request.wanted.words.empty();
  if (!one_shot && ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0)
    return run_shell(*session, stop);
  const int status = one_shot ? run_one_shot(*session, request.wanted)
                              : run_lines(*session, STDIN_FILENO, request.wanted, stop);
  return stop.signal() != 0 ? 128 + stop.signal() : status;
}

void add_options(CLI::App& app, Request& request) {
  auto& wanted = request.wanted;
  app.add_option("SOCKET", request.address, "The monitor: PATH, unix:PATH or tcp:HOST:PORT")->required();
  app.add_option(
         "COMMAND", wanted.words,
         "A command with its arguments as key=value, or one request in JSON; without it, commands are read "
         "from standard input")
      ->type_name("...");
  app.add_option_function<std::vector<std::string>>(
         "--wait-event",
         [&wanted](const std::vector<std::string>& texts) {
           for (const auto& text : texts) {
             auto filter = parse_event_filter(text);
             if (!filter) throw CLI::ValidationError("--wait-event", filter.error().explain());
             wanted.events.push_back(*std::move(filter));
           }
         },
         "Wait for this event after the command, and print it; given several times, for the first of them")
      ->expected(1)
      ->take_all()
      ->type_name("NAME[,KEY=VALUE]");
  app.add_option_function<double>(
         "--timeout",
         [&wanted](double seconds) {
           wanted.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
         },
         "Seconds for the answer and the event together [30 for the answer, no limit for the event]")
      ->check(CLI::Range(0.001, 31'536'000.0))
      ->type_name("S");
  app.add_flag("--events", wanted.show_events,
               "Show events as they come: on standard error beside one command, between the answers else");
  app.add_flag("--raw", wanted.raw, "Print JSON on one line");
}

}  // namespace

void add_command(CLI::App& application, CommandToRun& run) {
  auto* app =
      application.add_subcommand("qmp", "Talk to the monitor of a virtual machine, Godwit's or QEMU's");
  app->footer(
      "Without a command it is a shell on a terminal (Tab completes), and reads one request a line from a "
      "pipe.\n\n"
      "  godwit qmp /tmp/a.qmp\n"
      "  godwit qmp /tmp/a.qmp migrate-set-parameters max-bandwidth=100M\n"
      "  godwit qmp /tmp/a.qmp migrate uri=unix:/tmp/move --wait-event MIGRATION,status=completed \\\n"
      "             --wait-event MIGRATION,status=failed --timeout 60\n\n"
      "Exit status: 0 if it went well; 1 if the monitor refused the command, or the event did not come in "
      "time; "
      "2 if\nthe command line is wrong or the connection failed.");
  auto request = std::make_shared<Request>();
  add_options(*app, *request);
  app->callback(
      [&run, request] { run = [request](const StopRequest& stop) { return run_command(*request, stop); }; });
}

}  // namespace godwit::cli::qmp
