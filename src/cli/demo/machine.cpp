#include "cli/demo/machine.h"

#include <algorithm>
#include <utility>

#include "base/fail.h"
#include "cli/unix_socket.h"

namespace godwit::cli::demo {
namespace {

constexpr Milliseconds start_limit{20'000};
constexpr Milliseconds end_grace{300};

std::string_view side_name(Side side) {
  return side == Side::source ? "source" : "destination";
}

/// A comma inside an option's value is written twice.
std::string option_value(std::string text) {
  for (std::size_t at = 0; (at = text.find(',', at)) != std::string::npos; at += 2) text.insert(at, 1, ',');
  return text;
}

std::vector<std::string> arguments_for(Side side, const Options& options, const std::string& image,
                                       const std::string& monitor_path, const std::string& memory_path) {
  std::vector<std::string> arguments = {
      "-name",       fmt::format("godwit-demo-{}", side_name(side)),
      "-machine",    "pc",
      "-accel",      std::string(to_string(options.accelerator)),
      "-m",          fmt::format("{}M", options.ram_bytes >> 20),
      "-display",    "none",
      "-nodefaults", "-no-user-config",
      "-drive",      fmt::format("file={},format=raw", option_value(image)),
      "-serial",     "null",
      "-chardev",    fmt::format("socket,id=monitor,path={}", option_value(monitor_path)),
      "-mon",        "chardev=monitor,mode=control",
      "-qtest",      "unix:" + memory_path,
      "-qtest-log",  "/dev/null"};
  if (!options.cpu_model.empty()) arguments.insert(arguments.end(), {"-cpu", options.cpu_model});
  if (side == Side::destination) arguments.insert(arguments.end(), {"-incoming", "defer"});
  return arguments;
}

/// The connection the VMM makes to `listener`.
Result<UniqueFd> take_connection(UnixListener& listener, const VmmProcess& process, Deadline deadline,
                                 const StopRequest& stop) {
  const int fds[] = {listener.fd(), process.ended_fd()};
  GODWIT_ASSIGN(const bool ready, wait_readable(fds, deadline, stop));
  if (!ready) return fail("the VMM does not connect to {}", listener.path());
  const int listening[] = {listener.fd()};
  GODWIT_ASSIGN(const bool connected, wait_readable(listening, after(Milliseconds(0)), stop));
  if (!connected) return fail("the VMM ended at its start");
  return listener.accept();
}

}  // namespace

Result<std::unique_ptr<Machine>> Machine::start(Side side, const Options& options, const std::string& image,
                                                const TemporaryDirectory& directory,
                                                const StopRequest& stop) {
  const std::string name(side_name(side));
  GODWIT_ASSIGN(auto monitor_listener, UnixListener::open(directory.file(name + ".qmp")));
  GODWIT_ASSIGN(auto memory_listener, UnixListener::open(directory.file(name + ".qtest")));
  const auto& program = side == Side::source ? options.source_vmm : options.destination_vmm;
  GODWIT_ASSIGN(auto process, VmmProcess::start(program,
                                                arguments_for(side, options, image, monitor_listener.path(),
                                                              memory_listener.path()),
                                                directory.file(name + ".log")));
  std::unique_ptr<Machine> machine(new Machine(side, program, std::move(process)));
  const auto connect = [&]() -> Result<> {
    const Deadline deadline = after(start_limit);
    // The two come in either order; each waits in its listener until it is taken.
    GODWIT_ASSIGN(auto memory, take_connection(memory_listener, machine->process_, deadline, stop));
    GODWIT_ASSIGN(auto monitor, take_connection(monitor_listener, machine->process_, deadline, stop));
    machine->memory_ = std::make_unique<QtestClient>(std::move(memory), stop);
    GODWIT_ASSIGN(auto client, QmpClient::open(std::move(monitor), deadline, stop));
    machine->monitor_ = std::make_unique<QmpClient>(std::move(client));
    return {};
  };
  if (auto connected = connect(); !connected)
    return std::unexpected(machine->explain(std::move(connected).error(), "start"));
  return machine;
}

std::string_view Machine::name() const {
  return side_name(side_);
}

Error Machine::explain(Error error, std::string phase) {
  // A connection breaks a moment before its process is gone.
  const int ended[] = {process_.ended_fd()};
  [[maybe_unused]] const auto gone = wait_readable(ended, after(end_grace), StopRequest());
  const auto how = process_.how_it_ended();
  if (!how) return std::move(error).at(side_, std::move(phase));
  auto text = fmt::format("{} {}", program_, *how);
  if (const auto words = process_.last_words(); !words.empty()) text += ": " + words;
  return Error(std::move(text)).at(side_, std::move(phase));
}

}  // namespace godwit::cli::demo
