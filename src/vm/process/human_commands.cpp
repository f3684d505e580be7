// human-monitor-command, and the commands whose subject this VMM does not have.
#include <memory>

#include "base/fail.h"
#include "vm/process/hmp.h"
#include "vm/process/vm_commands.h"

namespace godwit::vm {

using schema::Nothing;
namespace command = schema::command;

void register_human_commands(qmp::CommandTable& table, const VmServices& services) {
  const auto monitor = std::make_shared<HumanMonitor>(services);
  table.on<command::human_monitor_command>([monitor](auto&& arguments, auto& context) -> Result<std::string> {
    return monitor->execute(arguments.command_line, context);
  });
  table.on<command::announce_self>([](auto&&, auto&) -> Result<Nothing> {
    return Nothing{};  // announces every network card, of which there are none
  });
}

}  // namespace godwit::vm
