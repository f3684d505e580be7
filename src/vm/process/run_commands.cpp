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

void register_run_commands(qmp::CommandTable& table, const VmServices& services) {
  Machine& machine = services.machine;
  Events& events = services.events;
  table.on<command::stop>([&machine](auto&&, auto&) { return nothing(machine.monitor_stop()); });
  table.on<command::cont>([&machine](auto&&, auto&) { return nothing(machine.monitor_cont()); });
  table.on<command::quit>([shut_down = services.shut_down](auto&&, auto&) -> Result<Nothing> {
    shut_down(schema::ShutdownCause::host_qmp_quit);
    return Nothing{};
  });
  table.on<command::system_reset>([&machine, &events](auto&&, auto&) -> Result<Nothing> {
    GODWIT_TRY(machine.monitor_reset());
    events.emit<event::RESET>({false, schema::ShutdownCause::host_qmp_system_reset});
    return Nothing{};
  });
  table.on<command::system_powerdown>([&events](auto&&, auto&) -> Result<Nothing> {
    events.emit<event::POWERDOWN>();  // what the machine consists of has no button that a guest could notice
    return Nothing{};
  });
  table.on<command::system_wakeup>([&machine](auto&&, auto&) -> Result<Nothing> {
    if (machine.run_state() != RunState::suspended)
      return fail("Unable to wake up: guest is not in suspended state");
    return fail("wake-up from suspend is not supported by this guest");
  });
}

}  // namespace godwit::vm
