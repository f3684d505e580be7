// -global migration.PROPERTY=VALUE: what migration starts with.
#pragma once

#include <span>
#include <vector>

#include <godwit/migration.h>
#include <godwit/result.h>
#include <godwit/schema/types.h>

#include "vm/process/process_config.h"

namespace godwit::vm {

struct MigrationPresets {
  MigrationOptions options;
  std::vector<schema::MigrationCapabilityStatus> capabilities;
  schema::MigrateSetParameters parameters;
};

/// Properties: a switch of the stream (send-configuration, ...), or a capability or parameter with or without
/// "x-" in front. Sizes may have suffixes. Of repeated ones the last counts.
Result<MigrationPresets> resolve_globals(std::span<const MigrationGlobal> globals);

}  // namespace godwit::vm
