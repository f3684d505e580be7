// The monitor's commands that concern the machine and its process.
#pragma once

#include <functional>

#include <godwit/migration.h>
#include <godwit/schema/types.h>

#include "qmp/command_table.h"
#include "vm/machine.h"
#include "vm/process/command_line.h"
#include "vm/process/events.h"
#include "vm/process/object_store.h"

namespace godwit::vm {

/// What the handlers act on. All of it outlives the table; they run on the main loop's thread.
struct VmServices {
  Machine& machine;
  ObjectStore& objects;
  Events& events;
  const CommandLine& line;
  Migration& migration;
  const MigrationOptions& migration_options;
  /// Announces the end of the process with its reason, and brings it about once the command is answered.
  std::function<void(schema::ShutdownCause reason)> shut_down;
};

// What more than one monitor can ask for (run_commands.cpp).
Result<> reset(const VmServices& services);
void power_down(const VmServices& services);
Result<> wake_up(const VmServices& services);

/// Everything but the monitor's own commands and those of migration. Commands that are not built yet answer
/// with an error that says so.
void register_vm_commands(qmp::CommandTable& table, const VmServices& services);

// The groups, by file.
void register_run_commands(qmp::CommandTable& table, const VmServices& services);
void register_query_commands(qmp::CommandTable& table, const VmServices& services);
void register_object_commands(qmp::CommandTable& table, const VmServices& services);
void register_yank_commands(qmp::CommandTable& table, const VmServices& services);
void register_human_commands(qmp::CommandTable& table, const VmServices& services);
void register_dirty_rate_commands(qmp::CommandTable& table, const VmServices& services);

}  // namespace godwit::vm
