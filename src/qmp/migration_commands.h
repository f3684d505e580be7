// The migration commands of the monitor, answered by the engine.
#pragma once

#include <godwit/migration.h>

#include "qmp/command_table.h"

namespace godwit::qmp {

/// `migration` outlives the table.
void register_migration_commands(CommandTable& table, Migration& migration);

}  // namespace godwit::qmp
