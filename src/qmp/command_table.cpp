#include "qmp/command_table.h"

#include <godwit/schema/introspection.h>

namespace godwit::qmp {

void CommandTable::add(Command command) {
  const std::string_view name = command.name;
  commands_.insert_or_assign(name, std::move(command));
}

const CommandTable::Command* CommandTable::find(std::string_view name) const {
  const auto found = commands_.find(name);
  return found == commands_.end() ? nullptr : &found->second;
}

std::vector<std::string_view> CommandTable::missing() const {
  std::vector<std::string_view> names;
  for (const std::string_view name : schema::command_names())
    if (!commands_.contains(name)) names.push_back(name);
  return names;
}

}  // namespace godwit::qmp
