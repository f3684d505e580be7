// human-monitor-command, and the commands whose subject this VMM does not have.
#include "base/fail.h"
#include "vm/process/vm_commands.h"

namespace godwit::vm {

using schema::Nothing;
namespace command = schema::command;

namespace {

std::string status_line(RunState state) {
  if (state == RunState::running) return "VM status: running\r\n";
  if (state == RunState::paused) return "VM status: paused\r\n";
  return fmt::format("VM status: paused ({})\r\n", to_string(state));
}

/// The words of a command line with single blanks between them.
std::string tidy(std::string_view text) {
  std::string words;
  for (const char c : text) {
    if (c != ' ')
      words += c;
    else if (!words.empty() && words.back() != ' ')
      words += ' ';
  }
  if (words.ends_with(' ')) words.pop_back();
  return words;
}

}  // namespace

void register_human_commands(qmp::CommandTable& table, const VmServices& services) {
  const Machine& machine = services.machine;
  table.on<command::human_monitor_command>([&machine](auto&& arguments, auto&) -> Result<std::string> {
    const std::string line = tidy(arguments.command_line);
    if (line.empty()) return std::string();
    if (line == "info status") return status_line(machine.run_state());
    const std::size_t words = line.starts_with("info ") ? line.find(' ', 5) : line.find(' ');
    return fmt::format("unknown command: '{}'\r\n", line.substr(0, words));
  });
  table.on<command::announce_self>([](auto&&, auto&) -> Result<Nothing> {
    return Nothing{};  // announces every network card, of which there are none
  });
  table.on<command::yank>([](auto&& arguments, auto&) -> Result<Nothing> {
    if (arguments.instances.empty()) return Nothing{};
    return fail(Error("Instance not found").with_class(ErrorClass::device_not_found));
  });
  table.on<command::query_yank>([](auto&&, auto&) -> Result<std::vector<schema::YankInstance>> {
    return std::vector<schema::YankInstance>();
  });
}

}  // namespace godwit::vm
