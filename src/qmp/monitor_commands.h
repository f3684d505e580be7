// The commands that are about the monitor itself.
#pragma once

#include "qmp/command_table.h"

namespace godwit::qmp {

/// qmp_capabilities, query-version, query-commands, query-events, query-qmp-schema.
void add_protocol_commands(CommandTable& table);

/// getfd, closefd, add-fd, remove-fd, query-fdsets.
void add_descriptor_commands(CommandTable& table);

}  // namespace godwit::qmp
