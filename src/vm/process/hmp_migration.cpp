// Migration as people start, watch and change it.
#include "base/fail.h"
#include "vm/process/hmp.h"

namespace godwit::vm {

namespace {

Result<> migrate(HumanCall& call) {
  schema::MigrateArguments request;
  request.uri = call.arguments.words[0];
  request.blk = call.arguments.has('b');
  request.inc = call.arguments.has('i');
  request.resume = call.arguments.has('r');
  GODWIT_TRY(call.services.migration.migrate(request, call.context.descriptors()));
  if (!call.arguments.has('d'))
    call.print("terminal does not allow synchronous migration, continuing detached\n");
  return {};
}

Result<> proceed(HumanCall& call) {
  const std::string& word = call.arguments.words[0];
  const auto state = schema::from_string<schema::MigrationStatus>(word);
  if (!state) return fail("invalid parameter value: {}", word);
  return call.services.migration.proceed(*state);
}

Result<> set_capability(HumanCall& call) {
  const std::string& word = call.arguments.words[0];
  const auto capability = schema::from_string<schema::MigrationCapability>(word);
  if (!capability) return fail("invalid parameter value: {}", word);
  return call.services.migration.set_capabilities({{*capability, call.arguments.on}});
}

Result<> set_parameter(HumanCall& call) {
  GODWIT_ASSIGN(const auto change, human_parameter(call.arguments.words[0], call.arguments.words[1]));
  return call.services.migration.set_parameters(change);
}

constexpr HumanCommand group[] = {
    {"migrate", "-d -b -i -r s", "[-d] [-b] [-i] [-r] uri",
     "migrate to URI (using -d to not wait for completion)\n\t\t\t -b for migration without shared storage "
     "with full "
     "copy of disk\n\t\t\t -i for migration without shared storage with incremental copy of disk (base image "
     "shared "
     "between src and destination)\n\t\t\t -r to resume a paused migration",
     migrate},
    {"migrate_cancel", "", "", "cancel the current VM migration",
     [](HumanCall& call) -> Result<> {
       call.services.migration.cancel();
       return {};
     }},
    {"migrate_continue", "s", "state", "Continue migration from the given paused state", proceed},
    {"migrate_incoming", "s", "uri", "Continue an incoming migration from an -incoming defer",
     [](HumanCall& call) {
       return call.services.migration.incoming(call.arguments.words[0], call.context.descriptors());
     }},
    {"migrate_pause", "", "", "Pause an ongoing migration (postcopy-only)",
     [](HumanCall& call) { return call.services.migration.pause(); }},
    {"migrate_recover", "s", "uri", "Continue a paused incoming postcopy migration",
     [](HumanCall& call) {
       return call.services.migration.recover(call.arguments.words[0], call.context.descriptors());
     }},
    {"migrate_set_capability", "s b", "capability state",
     "Enable/Disable the usage of a capability for migration", set_capability},
    {"migrate_set_parameter", "s s", "parameter value", "Set the parameter for migration", set_parameter},
    {"migrate_start_postcopy", "", "",
     "Followup to a migration command to switch the migration to postcopy mode. The postcopy-ram capability "
     "must be "
     "set on both source and destination before the original migration command .",
     [](HumanCall& call) { return call.services.migration.start_postcopy(); }},
};

}  // namespace

std::span<const HumanCommand> human_migration_commands() {
  return group;
}

}  // namespace godwit::vm
