// stop, cont, quit, reset and the buttons of the machine.
#include "base/fail.h"
#include "vm/process/vm_commands.h"

namespace godwit::vm {

using schema::Nothing;
namespace command = schema::command;
namespace event = schema::event;

namespace {

Result<Nothing> nothing(Result<> result) {
  if (!result) return std::unexpected(std::move(result).error());
  return Nothing{};
}

}  // namespace

Result<> reset(const VmServices& services) {
  GODWIT_TRY(services.machine.monitor_reset());
  services.events.emit<event::RESET>({false, schema::ShutdownCause::host_qmp_system_reset});
  return {};
}

void power_down(const VmServices& services) {
  // What the machine consists of has no button that a guest could notice.
  services.events.emit<event::POWERDOWN>();
}

Result<> wake_up(const VmServices& services) {
  const bool could_sleep = services.line.machine.kind != MachineKind::none;
  if (could_sleep && services.machine.run_state() != RunState::suspended)
    return fail("Unable to wake up: guest is not in suspended state");
  return fail("wake-up from suspend is not supported by this guest");
}

void register_run_commands(qmp::CommandTable& table, const VmServices& services) {
  Machine& machine = services.machine;
  table.on<command::stop>([&machine](auto&&, auto&) { return nothing(machine.monitor_stop()); });
  table.on<command::cont>([&machine](auto&&, auto&) { return nothing(machine.monitor_cont()); });
  table.on<command::quit>([shut_down = services.shut_down](auto&&, auto&) -> Result<Nothing> {
    shut_down(schema::ShutdownCause::host_qmp_quit);
    return Nothing{};
  });
  table.on<command::system_reset>([services](auto&&, auto&) { return nothing(reset(services)); });
  table.on<command::system_powerdown>([services](auto&&, auto&) -> Result<Nothing> {
    power_down(services);
    return Nothing{};
  });
  table.on<command::system_wakeup>([services](auto&&, auto&) { return nothing(wake_up(services)); });
}

}  // namespace godwit::vm
