// yank: cutting connections that are stuck.
#include <algorithm>

#include "base/fail.h"
#include "vm/process/vm_commands.h"

namespace godwit::vm {

using schema::Nothing;
namespace command = schema::command;

namespace {

/// The sockets that a command could cut, by the name of their character device.
std::vector<schema::YankInstance> sockets(const CommandLine& line) {
  std::vector<schema::YankInstance> list;
  for (const ChardevConfig& chardev : line.process.chardevs)
    if (chardev.is_socket()) list.push_back({schema::YankInstanceChardev{chardev.id}});
  return list;
}

}  // namespace

void register_yank_commands(qmp::CommandTable& table, const VmServices& services) {
  const CommandLine& line = services.line;
  table.on<command::yank>([&line](auto&& arguments, auto&) -> Result<Nothing> {
    const auto known = sockets(line);
    for (const schema::YankInstance& instance : arguments.instances)
      if (std::ranges::find(known, instance) == known.end())
        return fail(Error("Instance not found").with_class(ErrorClass::device_not_found));
    if (!arguments.instances.empty()) return fail("yank of a character device is not built yet");
    return Nothing{};
  });
  table.on<command::query_yank>(
      [&line](auto&&, auto&) -> Result<std::vector<schema::YankInstance>> { return sockets(line); });
}

}  // namespace godwit::vm
