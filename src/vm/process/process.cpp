#include "vm/process/process.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/exhaustion.h"
#include "base/fail.h"
#include "base/log.h"
#include "base/thread.h"
#include "qmp/migration_channels.h"
#include "qmp/migration_commands.h"
#include "qmp/monitor_commands.h"
#include "vm/process/chardev.h"
#include "vm/process/migration_globals.h"
#include "vm/process/vm_commands.h"

namespace godwit::vm {

namespace asio = boost::asio;
using schema::ShutdownCause;
namespace event = schema::event;

namespace {

/// How long the process waits at its end for clients to take what was emitted and answered before.
constexpr Milliseconds farewell_patience{200};
/// The same for what the guest has said, which nobody can ask for again.
constexpr Milliseconds last_words_patience{2000};

}  // namespace

Process::Process(CommandLine line)
    : line_(std::move(line)), signals_(loop_, SIGTERM, SIGINT, SIGHUP), objects_(line_.machine.machine_name) {
  ::signal(SIGPIPE, SIG_IGN);
  await_signals();
}

Process::~Process() {
  // A second signal must not kill a process that is going in good order.
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  if (qtest_) qtest_->stop();  // it may be waiting for a page that the end of the migration releases
  // First the monitors: their thread runs commands of its own, which need the rest.
  if (monitor_) monitor_->close(farewell_patience);
  events_.disconnect();
  monitor_.reset();
  // The end of the migration lets go who waits for a page: the guest must not run on without it.
  if (machine_) machine_->request_stop();
  migration_.reset();
  qtest_.reset();
  if (machine_) machine_->shut_down();
  machine_.reset();
  if (serial_) serial_->finish(last_words_patience);
  serial_.reset();
}

int Process::run() {
  if (auto started = start(); !started) {
    log::error("{}", started.error().explain());
    return 1;
  }
  const auto keep_running = asio::make_work_guard(loop_);
  while (!exit_status_) {
    auto ran = or_exhausted([this]() -> Result<> {
      loop_.run_one();
      return {};
    });
    if (!ran) log::error("the main loop: {}", ran.error().what());
  }
  return *exit_status_;
}

Result<> Process::start() {
  for (const std::string& warning : line_.process.warnings) log::warn("{}", warning);
  GODWIT_TRY(open_serial());
  MachineConfig config = line_.machine;
  if (serial_)
    config.serial_line = {.transmit = [port = serial_.get()](std::uint8_t byte) { port->transmit(byte); },
                          .has_room = [port = serial_.get()] { return port->has_room(); }};
  GODWIT_ASSIGN(machine_, Machine::create(std::move(config), *this));
  GODWIT_TRY(make_objects());
  GODWIT_TRY(make_migration());
  if (serial_)
    serial_->start([this](std::span<const std::uint8_t> bytes) { machine_->serial_input(bytes); },
                   [this] { machine_->serial_line_ready(); });
  if (!line_.process.qtest_socket.empty()) {
    GODWIT_ASSIGN(qtest_, QtestServer::connect(line_.process.qtest_socket, *machine_));
  }
  GODWIT_TRY(start_incoming());
  GODWIT_TRY(open_monitors());
  await_clients();
  if (exit_status_ || line_.machine.incoming || line_.machine.start_stopped) return {};
  return machine_->set_run_state(RunState::running);
}

Result<> Process::open_serial() {
  const ProcessConfig& process = line_.process;
  const auto config = std::ranges::find(process.chardevs, process.serial_chardev, &ChardevConfig::id);
  if (config == process.chardevs.end()) return {};
  auto port = SerialPort::open(*config, loop_);
  if (!port) return std::unexpected(std::move(port).error().in(fmt::format("chardev '{}'", config->id)));
  serial_ = *std::move(port);
  return {};
}

Result<> Process::make_objects() {
  for (const MemoryBackend& backend : line_.process.memory_backends) {
    if (backend.id == line_.process.ram_backend)
      objects_.adopt_machine_memory(backend);
    else if (auto added = objects_.add_memory(backend); !added)
      return std::unexpected(std::move(added).error().in(fmt::format("-object {}", backend.id)));
  }
  for (const boost::json::object& object : line_.process.objects)
    if (auto added = objects_.add(object); !added)
      return std::unexpected(std::move(added).error().in("-object " + boost::json::serialize(object)));
  return {};
}

Result<> Process::make_migration() {
  GODWIT_ASSIGN(auto presets, resolve_globals(line_.process.migration_globals));
  presets.options.send_description = !line_.machine.suppress_description;
  presets.options.only_migratable = line_.process.only_migratable;
  presets.options.incoming_expected = line_.machine.incoming;
  presets.options.tls = &objects_;
  MigrationObserver& observer = *this;
  migration_options_ = presets.options;
  migration_ = std::make_unique<Migration>(*machine_, observer, clock_, presets.options);
  if (!presets.capabilities.empty()) GODWIT_TRY(migration_->set_capabilities(presets.capabilities));
  return migration_->set_parameters(presets.parameters);
}

Result<> Process::start_incoming() {
  std::string uri = line_.process.incoming.value_or("defer");
  if (const auto& channels = line_.process.incoming_channels; !channels.empty()) {
    auto made = qmp::uri_of(channels);
    if (!made) return std::unexpected(std::move(made).error().in("-incoming"));
    uri = *std::move(made);
  }
  if (uri == "defer") return {};
  NoDescriptors none;
  auto listening = migration_->incoming(uri, none);
  if (!listening) return std::unexpected(std::move(listening).error().in("-incoming " + uri));
  return {};
}

Result<> Process::open_monitors() {
  qmp::register_migration_commands(commands_, *migration_);
  register_vm_commands(commands_, {*machine_, objects_, events_, line_, *migration_, migration_options_,
                                   [this](ShutdownCause reason) { shut_down(reason); }});
  qmp::add_protocol_commands(commands_);
  qmp::add_descriptor_commands(commands_);
  monitor_ = std::make_unique<qmp::Monitor>(
      commands_, [this](std::function<void()> command) { asio::post(loop_, std::move(command)); });
  events_.connect(*monitor_);
  for (const MonitorConfig& wanted : line_.process.monitors) {
    const auto chardev = std::ranges::find(line_.process.chardevs, wanted.chardev, &ChardevConfig::id);
    GODWIT_ASSIGN(auto endpoint, monitor_endpoint(*chardev));
    if (!endpoint) continue;
    auto added = monitor_->add(*std::move(endpoint), {.pretty = wanted.pretty, .limits = {}});
    if (!added) return std::unexpected(std::move(added).error().in("monitor '" + wanted.chardev + "'"));
  }
  return {};
}

void Process::await_clients() {
  bool monitors_complete = !monitors_wait();
  const auto complete = [&] { return monitors_complete && !(serial_ && serial_->awaits_client()); };
  if (complete()) return;  // no command runs before the guest has been started
  std::jthread waiter;
  if (!monitors_complete) {
    waiter = start_thread("await-clients", [&](const std::stop_token& stop) {
      if (monitor_->wait_for_clients(stop))
        with_reserve([&] { asio::post(loop_, [&monitors_complete] { monitors_complete = true; }); });
    });
  }
  const auto keep_running = asio::make_work_guard(loop_);
  while (!exit_status_ && !complete()) loop_.run_one();
}

bool Process::monitors_wait() const {
  return std::ranges::any_of(line_.process.monitors, [this](const MonitorConfig& monitor) {
    const auto chardev = std::ranges::find(line_.process.chardevs, monitor.chardev, &ChardevConfig::id);
    return chardev->server && chardev->wait;
  });
}

// ---- the guest's wishes

void Process::on_guest_reset_request() {
  asio::post(loop_, [this] { reset_guest(); });
}

void Process::on_guest_shutdown_request() {
  asio::post(loop_, [this] { guest_is_off(); });
}

void Process::on_internal_error(std::string what) {
  log::error("{}", what);
}

void Process::reset_guest() {
  if (exit_status_) return;
  if (line_.process.exit_on_reset) return shut_down(ShutdownCause::guest_reset);
  if (auto reset = machine_->monitor_reset(); !reset) {
    log::error("the guest cannot be reset: {}", reset.error().what());
    return;
  }
  events_.emit<event::RESET>({true, ShutdownCause::guest_reset});
}

void Process::guest_is_off() {
  if (exit_status_) return;
  if (!line_.process.keep_on_shutdown) return shut_down(ShutdownCause::guest_shutdown);
  events_.emit<event::SHUTDOWN>({true, ShutdownCause::guest_shutdown});
  if (auto stopped = machine_->set_run_state(RunState::shutdown); !stopped)
    log::error("{}", stopped.error().what());
}

// ---- migration

void Process::on_status(schema::MigrationStatus status) {
  events_.emit<event::MIGRATION>({status});
}

void Process::on_pass(std::int64_t pass) {
  events_.emit<event::MIGRATION_PASS>({pass});
}

void Process::on_incoming_failed(const Error& error) {
  log::error("load of migration failed: {}", error.explain());
  asio::post(loop_, [this] { leave(1); });
}

// ---- the end

void Process::await_signals() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    log::warn("terminating on signal {}", signal);
    shut_down(ShutdownCause::host_signal);
    await_signals();
  });
}

void Process::shut_down(ShutdownCause reason) {
  if (shutting_down_ || exit_status_) return;
  shutting_down_ = true;
  const bool guest = reason == ShutdownCause::guest_shutdown || reason == ShutdownCause::guest_reset;
  events_.emit<event::SHUTDOWN>({guest, reason});
  if (migration_)
    if (auto cancelled = migration_->cancel(); !cancelled) log::warn("{}", cancelled.error().what());
  asio::post(loop_, [this] { leave(0); });
}

void Process::leave(int status) {
  if (!exit_status_) exit_status_ = status;
}

}  // namespace godwit::vm
