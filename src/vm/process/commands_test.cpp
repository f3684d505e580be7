// The handlers on a real machine without processors, called as the monitor calls them.
#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <memory>

#include <godwit/migration.h>

#include "base/clock.h"
#include "qmp/migration_commands.h"
#include "qmp/monitor_commands.h"
#include "vm/process/vm_commands.h"

namespace godwit::vm {
namespace {

using testing::IsEmpty;

class Silence final : public MachineObserver, public MigrationObserver {
 public:
  void on_stop() override {}
  void on_resume() override {}
  void on_guest_reset_request() override {}
  void on_guest_shutdown_request() override {}
  void on_internal_error(std::string) override {}
  void on_status(schema::MigrationStatus) override {}
  void on_pass(std::int64_t) override {}
  void on_incoming_failed(const Error&) override {}
};

TEST(Commands, AreAllAnswered) {
  Silence silence;
  SteadyClock clock;
  CommandLine line;
  line.machine.kind = MachineKind::none;
  line.machine.machine_name = "none";
  line.machine.accelerators = {{"qtest", 0}};
  auto machine = Machine::create(line.machine, silence);
  ASSERT_TRUE(machine) << machine.error().what();
  Migration migration(**machine, silence, clock);
  const MigrationOptions options;
  ObjectStore objects("none");
  Events events;
  qmp::CommandTable table;
  qmp::add_protocol_commands(table);
  qmp::add_descriptor_commands(table);
  qmp::register_migration_commands(table, migration);
  register_vm_commands(table,
                       {**machine, objects, events, line, migration, options, [](schema::ShutdownCause) {}});
  EXPECT_THAT(table.missing(), IsEmpty());
}

}  // namespace
}  // namespace godwit::vm
