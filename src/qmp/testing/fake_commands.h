// A monitor's command table without a machine: what the recorded conversations need.
#pragma once

#include "qmp/command_table.h"

namespace godwit::qmp::testing {

/// The monitor's own commands, and a running machine that is called nothing, cannot migrate, and accepts
/// everything.
void add_fake_machine(CommandTable& table);

}  // namespace godwit::qmp::testing
