#include "cli/demo/command.h"

#include <cstdio>
#include <map>
#include <memory>
#include <unistd.h>
#include <vector>

#include "cli/demo/demo.h"
#include "cli/json_text.h"
#include "cli/quantity.h"

namespace godwit::cli::demo {
namespace {

/// The options as written; checked one by one by CLI11, completed and checked together later.
struct Request {
  Options options;
  bool accelerator_given = false;
};

/// Takes an option's text through one of our parsers; its error is the operator's.
template <typename Value, typename Parser>
CLI::Option* add_parsed(CLI::App& app, const char* names, Value& value, Parser parse, const char* about) {
  return app.add_option_function<std::string>(
      names,
      [names, &value, parse](const std::string& text) {
        auto parsed = parse(text);
        if (!parsed) throw CLI::ValidationError(names, parsed.error().what());
        value = *parsed;
      },
      about);
}

std::unique_ptr<Audience> audience_for(const Options& options) {
  // With --json nothing but the document goes to standard output.
  const int fd = options.json ? STDERR_FILENO : STDOUT_FILENO;
  if (can_draw(fd)) return make_terminal_audience(fd);
  if (options.json) return make_no_audience();
  return make_plain_audience(fd);
}

int run_command(const Request& request, const StopRequest& stop) {
  Options wanted = request.options;
  if (!request.accelerator_given) wanted.accelerator = usable_accelerator();
  Report report;
  report.options = wanted;
  auto audience = audience_for(wanted);
  if (auto options = complete(wanted))
    report = run(*options, *audience, stop);
  else
    report.error = options.error().explain();
  if (wanted.json) {
    audience.reset();
    std::fputs(pretty(to_json(report)).c_str(), stdout);
  } else {
    audience->tell(summary(report, audience->canvas()));
  }
  if (stop.signal() != 0) return 128 + stop.signal();
  return verdict(report) == Verdict::ok ? exit_success : exit_failure;
}

void add_guest_options(CLI::App& app, Request& request) {
  auto& options = request.options;
  add_parsed(app, "--size,-s", options.ram_bytes, parse_size, "RAM of the guest [512M; 96M if emulated]")
      ->type_name("SIZE");
  add_parsed(app, "--hot", options.hot_bytes, parse_size,
             "How much of it the guest rewrites for ever [32M; 4M if emulated]")
      ->type_name("SIZE");
  add_parsed(app, "--dirty-rate", options.dirty_rate, parse_rate, "How fast it rewrites, per second [max]")
      ->type_name("SIZE|max");
  app.add_option_function<std::string>(
         "--accel",
         [&request](const std::string& text) {
           request.accelerator_given = true;
           request.options.accelerator = text == "kvm" ? Accelerator::kvm : Accelerator::tcg;
         },
         "What runs the guest: the processor, or an emulator [kvm if usable]")
      ->check(CLI::IsMember({"kvm", "tcg"}));
}

void add_move_options(CLI::App& app, Options& options) {
  const std::map<std::string, Transport> transports = {{"tcp", Transport::tcp},
                                                       {"unix", Transport::unix_socket},
                                                       {"fd", Transport::fd},
                                                       {"exec", Transport::exec},
                                                       {"file", Transport::file}};
  app.add_option_function<std::string>(
         "--transport",
         [transports, &options](const std::string& text) { options.transport = transports.at(text); },
         "How it travels; by file it stands still meanwhile [tcp]")
      ->check(CLI::IsMember({"tcp", "unix", "fd", "exec", "file"}));
  add_parsed(app, "--bandwidth", options.bandwidth, parse_rate,
             "Most to send per second [256M; 32M if emulated]")
      ->type_name("SIZE|max");
  app.add_option("--downtime-limit", options.downtime_limit_ms, "Milliseconds it may stand still for [300]")
      ->check(CLI::Range(1, 2'000'000))
      ->type_name("MS");
  app.add_option_function<unsigned>(
         "--time-limit", [&options](unsigned seconds) { options.time_limit = std::chrono::seconds(seconds); },
         "Seconds after which the move is given up [30]")
      ->check(CLI::Range(1, 3600))
      ->type_name("S");
}

void add_program_options(CLI::App& app, Options& options) {
  app.add_option("--vmm", options.source_vmm,
                 "The VMM on both sides [godwit-system-x86_64 beside this program]")
      ->type_name("PROGRAM");
  app.add_option("--dst-vmm", options.destination_vmm, "Another one on the destination")
      ->type_name("PROGRAM");
  app.add_option("--cpu", options.cpu_model,
                 "Processor model of the guest; empty: the VMM's default [qemu64,-pni]")
      ->type_name("MODEL");
  app.add_flag("--json", options.json,
               "Print one JSON document with all figures and the verdict, and nothing else");
}

}  // namespace

void add_command(CLI::App& application, CommandToRun& run) {
  auto* app = application.add_subcommand(
      "demo", "Move a running guest between two processes and prove that nothing is lost");
  app->footer(
      "The guest fills its RAM, then rewrites a part of it without pause, checking every word as it goes. It "
      "is moved\n"
      "while it does so, and looks at all of its memory again on the other side.\n\n"
      "Sizes: 512M, 1.5G, 64K; a bare number counts in MiB.\n"
      "Exit status: 0 if nothing was lost and the guest runs on, 1 if not.");
  auto request = std::make_shared<Request>();
  request->options.cpu_model = "qemu64,-pni";
  add_guest_options(*app, *request);
  add_move_options(*app, request->options);
  add_program_options(*app, request->options);
  app->callback(
      [&run, request] { run = [request](const StopRequest& stop) { return run_command(*request, stop); }; });
}

}  // namespace godwit::cli::demo
