#include "vm/process/vm_commands.h"

namespace godwit::vm {

void register_vm_commands(qmp::CommandTable& table, const VmServices& services) {
  register_run_commands(table, services);
  register_query_commands(table, services);
  register_object_commands(table, services);
  register_yank_commands(table, services);
  register_human_commands(table, services);
  register_dirty_rate_commands(table, services);
}

}  // namespace godwit::vm
