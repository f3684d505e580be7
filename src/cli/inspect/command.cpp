#include "cli/inspect/command.h"

#include <cstdio>
#include <memory>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fail.h"
#include "cli/inspect/diff.h"
#include "cli/inspect/json.h"
#include "cli/inspect/read.h"
#include "cli/inspect/text.h"
#include "cli/json_text.h"
#include "cli/temporary_directory.h"

namespace godwit::cli::inspect {
namespace {

struct Request {
  std::string where;
  std::string ram_directory;
  bool json = false;
  bool verify = false;
  bool let_source_stop = false;
  TextOptions text;
};

struct DiffRequest {
  std::string left;
  std::string right;
  bool json = false;
};

int complain(const Error& error) {
  std::fprintf(stderr, "godwit: %s\n", error.explain().c_str());
  return exit_failure;
}

Canvas canvas_of_output() {
  Canvas canvas;
  canvas.columns = 120;
  if (!can_draw(STDOUT_FILENO)) return canvas;
  canvas = Screen(STDOUT_FILENO).canvas();
  return canvas;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

Result<Inspection> inspect_one(const Request& request, const StopRequest& stop) {
  std::optional<RamImage> image;
  if (!request.ram_directory.empty()) {
    GODWIT_ASSIGN(image, RamImage::create(request.ram_directory));
  }
  GODWIT_ASSIGN(Source source, open_source(request.where, stop));
  ReadOptions options;
  options.let_source_stop = request.let_source_stop;
  options.check = request.verify;
  options.image = image ? &*image : nullptr;
  return read_source(source, options, stop);
}

int run_inspect(const Request& request, const StopRequest& stop) {
  const auto found = inspect_one(request, stop);
  if (!found) {
    complain(found.error());
    return stop.signal() != 0 ? 128 + stop.signal() : exit_failure;
  }
  if (request.json)
    print(pretty(to_json(*found)));
  else if (request.verify)
    print(verdict_text(*found));
  else
    print(to_text(*found, request.text));
  return found->problem ? exit_failure : exit_success;
}

Result<Comparison> compare_two(const DiffRequest& request, const StopRequest& stop) {
  GODWIT_ASSIGN(const TemporaryDirectory directory, TemporaryDirectory::create());
  Inspection found[2];
  std::string directories[2];
  for (std::size_t i = 0; i < 2; ++i) {
    directories[i] = directory.file(i == 0 ? "left" : "right");
    Request one;
    one.where = i == 0 ? request.left : request.right;
    one.ram_directory = directories[i];
    GODWIT_ASSIGN(found[i], inspect_one(one, stop));
    if (found[i].problem) return fail("{}: {}", found[i].name, problem_text(found[i]));
  }
  Comparison comparison = compare(found[0], found[1]);
  GODWIT_TRY(compare_ram(found[0], directories[0], found[1], directories[1], comparison));
  return comparison;
}

int run_diff(const DiffRequest& request, const StopRequest& stop) {
  const auto comparison = compare_two(request, stop);
  if (!comparison) {
    complain(comparison.error());
    return stop.signal() != 0 ? 128 + stop.signal() : exit_trouble;
  }
  print(request.json ? pretty(to_json(*comparison)) : to_text(*comparison));
  return comparison->equal() ? exit_success : exit_failure;
}

void add_diff(CLI::App& app, CommandToRun& run) {
  auto* diff = app.add_subcommand("diff", "Compare two streams: configuration, RAM, devices");
  diff->footer(
      "RAM is extracted to a temporary directory (TMPDIR) and compared page by page.\n"
      "Exit status: 0 if nothing differs, 1 if something does, 2 if a stream could not be read.");
  auto request = std::make_shared<DiffRequest>();
  diff->add_option("A", request->left, "Path or URI of the one")->required();
  diff->add_option("B", request->right, "Path or URI of the other")->required();
  diff->add_flag("--json", request->json, "Print one JSON document");
  diff->callback(
      [&run, request] { run = [request](const StopRequest& stop) { return run_diff(*request, stop); }; });
}

}  // namespace

void add_command(CLI::App& application, CommandToRun& run) {
  auto* app = application.add_subcommand("inspect", "Show what is in a migration stream, recorded or live");
  app->footer(
      "FILE is a path, - for standard input, or a URI as a destination takes it (unix:PATH, tcp:HOST:PORT, "
      "file:,\n"
      "exec:, fd:): on a socket it waits for a source. It never tells a source that the guest runs here. A "
      "source "
      "with\n"
      "the capability return-path keeps its guest; without, it is turned away before it can give the guest "
      "up.\n"
      "A file named diff is ./diff.\n"
      "Exit status: 0 if the stream is whole, 1 if not.");
  auto request = std::make_shared<Request>();
  add_diff(*app, run);
  auto* where = app->add_option("FILE", request->where, "Path or URI of the stream");
  app->add_flag("--json", request->json, "Print one JSON document with everything");
  app->add_flag(
      "--verify", request->verify,
      "Check everything that can be checked, and say only whether the stream is whole, or where it is not");
  app->add_option("--ram", request->ram_directory,
                  "Extract RAM to this directory: one sparse file for each block")
      ->type_name("DIR");
  app->add_flag("--all", request->text.all_fields,
                "Show everything: also fields that are 0, and all of a long order");
  app->add_option("--device", request->text.device, "Show only the devices whose name contains this")
      ->type_name("NAME");
  app->add_flag("--let-source-stop", request->let_source_stop,
                "Take the whole stream of a live source without return path, which then stops its guest");
  app->require_subcommand(0, 1);
  app->callback([app, where, &run, request] {
    if (!app->get_subcommands().empty()) return;
    if (where->count() == 0) throw CLI::RequiredError("FILE");
    request->text.canvas = canvas_of_output();
    run = [request](const StopRequest& stop) { return run_inspect(*request, stop); };
  });
}

}  // namespace godwit::cli::inspect
