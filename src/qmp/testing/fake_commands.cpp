#include "qmp/testing/fake_commands.h"

#include <godwit/schema/commands.h>

#include "base/fail.h"
#include "qmp/monitor_commands.h"

namespace godwit::qmp::testing {
namespace {

namespace command = schema::command;

template <typename Tag>
void accept(CommandTable& table) {
  table.on<Tag>([](auto&&, Context&) -> Result<schema::Nothing> { return schema::Nothing{}; });
}

}  // namespace

void add_fake_machine(CommandTable& table) {
  add_protocol_commands(table);
  add_descriptor_commands(table);
  table.on<command::query_status>([]() -> Result<schema::StatusInfo> {
    return schema::StatusInfo{.running = true, .singlestep = false, .status = schema::RunState::running};
  });
  table.on<command::query_name>([]() -> Result<schema::NameInfo> { return schema::NameInfo{}; });
  table.on<command::query_uuid>(
      []() -> Result<schema::UuidInfo> { return schema::UuidInfo{"00000000-0000-0000-0000-000000000000"}; });
  table.on<command::migrate_pause>([]() -> Result<schema::Nothing> {
    return fail("migrate-pause is currently only supported during postcopy-active state");
  });
  table.on<command::migrate_recover>([](auto&&) -> Result<schema::Nothing> {
    return fail("Migrate recover can only be run when postcopy is paused.");
  });
  accept<command::migrate>(table);
  accept<command::migrate_continue>(table);
  accept<command::migrate_set_capabilities>(table);
  accept<command::migrate_set_parameters>(table);
  accept<command::stop>(table);
  accept<command::cont>(table);
}

}  // namespace godwit::qmp::testing
