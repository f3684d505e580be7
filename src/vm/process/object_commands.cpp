// object-add, object-del and the tree of objects.
#include "vm/process/object_types.h"
#include "vm/process/vm_commands.h"

namespace godwit::vm {

using schema::Nothing;
namespace command = schema::command;

void register_object_commands(qmp::CommandTable& table, const VmServices& services) {
  ObjectStore& objects = services.objects;
  table.on<command::object_add>([&objects](auto&& options, auto&) -> Result<Nothing> {
    GODWIT_TRY(objects.add(options));
    return Nothing{};
  });
  table.on<command::object_del>([&objects](auto&& arguments, auto&) -> Result<Nothing> {
    GODWIT_TRY(objects.remove(arguments.id));
    return Nothing{};
  });
  table.on<command::qom_list>([&objects](auto&& arguments, auto&) { return objects.list(arguments.path); });
  table.on<command::qom_get>(
      [&objects](auto&& arguments, auto&) { return objects.get(arguments.path, arguments.property); });
  table.on<command::qom_set>([&objects](auto&& arguments, auto&) -> Result<Nothing> {
    GODWIT_TRY(objects.set(arguments.path, arguments.property, arguments.value));
    return Nothing{};
  });
  table.on<command::qom_list_types>(
      [](auto&& arguments, auto&) -> Result<std::vector<schema::ObjectTypeInfo>> {
        return object_types(arguments.implements, arguments.abstract.value_or(false));
      });
}

}  // namespace godwit::vm
