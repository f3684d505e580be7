// The process: everything the command line asks for, put together, and the main loop under it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <memory>
#include <optional>
#include <vector>

#include <godwit/migration.h>

#include "base/clock.h"
#include "qmp/monitor.h"
#include "vm/machine.h"
#include "vm/process/command_line.h"
#include "vm/process/events.h"
#include "vm/process/object_store.h"
#include "vm/process/qtest_server.h"
#include "vm/process/serial_port.h"

namespace godwit::vm {

/// Threads: all on the thread that calls run(), but for the observers, which pass on what they are told.
class Process final : private MachineObserver, private MigrationObserver {
 public:
  explicit Process(CommandLine line);
  ~Process();

  /// Lives until quit, a signal, the end of the guest, or a failed incoming migration. Returns the exit
  /// status; a failure to start is told on stderr.
  int run();

 private:
  // MachineObserver
  void on_stop() override { events_.emit<schema::event::STOP>(); }
  void on_resume() override { events_.emit<schema::event::RESUME>(); }
  void on_guest_reset_request() override;
  void on_guest_shutdown_request() override;
  void on_internal_error(std::string what) override;
  // MigrationObserver
  void on_status(schema::MigrationStatus status) override;
  void on_pass(std::int64_t pass) override;
  void on_incoming_failed(const Error& error) override;

  void await_signals();
  Result<> start();
  Result<> open_serial();
  Result<> make_objects();
  Result<> make_migration();
  Result<> open_monitors();
  Result<> start_incoming();
  /// Runs the loop until those clients are there without which start-up must not go on.
  void await_clients();
  bool monitors_wait() const;

  void reset_guest();
  void guest_is_off();
  /// SHUTDOWN, cancel what is in progress, and leave the loop after what is under way now.
  void shut_down(schema::ShutdownCause reason);
  void leave(int status);

  const CommandLine line_;
  boost::asio::io_context loop_;
  boost::asio::signal_set signals_;
  bool shutting_down_ = false;      ///< announced; the loop is left soon
  std::optional<int> exit_status_;  ///< set: the loop is being left

  SteadyClock clock_;
  Events events_;
  ObjectStore objects_;
  qmp::CommandTable commands_;
  MigrationOptions migration_options_;
  // In the order of what needs what; the destructor takes them down in an order of its own.
  std::unique_ptr<SerialPort> serial_;
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<Migration> migration_;
  std::unique_ptr<QtestServer> qtest_;
  std::unique_ptr<qmp::Monitor> monitor_;
};

}  // namespace godwit::vm
