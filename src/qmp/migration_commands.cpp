#include "qmp/migration_commands.h"

#include <cmath>
#include <utility>

#include <godwit/schema/commands.h>

#include "base/fail.h"
#include "qmp/migration_channels.h"

namespace godwit::qmp {
namespace {

using schema::Nothing;
namespace command = schema::command;

Result<Nothing> nothing(Result<> result) {
  if (!result) return std::unexpected(std::move(result).error());
  return Nothing{};
}

void register_settings(CommandTable& table, Migration& migration) {
  table.on<command::migrate_set_capabilities>([&migration](auto&& arguments, Context&) {
    return nothing(migration.set_capabilities(arguments.capabilities));
  });
  table.on<command::query_migrate_capabilities>(
      [&migration](auto&&, Context&) -> Result<std::vector<schema::MigrationCapabilityStatus>> {
        return migration.capabilities();
      });
  table.on<command::migrate_set_parameters>(
      [&migration](auto&& changes, Context&) { return nothing(migration.set_parameters(changes)); });
  table.on<command::query_migrate_parameters>(
      [&migration](auto&&, Context&) -> Result<schema::MigrationParameters> {
        return migration.parameters();
      });
}

/// The setters of the time before migrate-set-parameters (control-plane section 9.8).
void register_old_setters(CommandTable& table, Migration& migration) {
  table.on<command::migrate_set_downtime>([&migration](auto&& arguments, Context&) -> Result<Nothing> {
    if (!(arguments.value >= 0 && arguments.value <= 2000))
      return fail("Parameter 'downtime_limit' expects an integer in the range of 0 to 2000 seconds");
    schema::MigrateSetParameters changes;
    changes.downtime_limit = static_cast<std::uint64_t>(arguments.value * 1000.0);
    return nothing(migration.set_parameters(changes));
  });
  table.on<command::migrate_set_speed>([&migration](auto&& arguments, Context&) -> Result<Nothing> {
    if (arguments.value < 0)
      return fail("Parameter 'max_bandwidth' expects an integer in the range of 0 to {} bytes/second",
                  ~std::uint64_t{0});
    schema::MigrateSetParameters changes;
    changes.max_bandwidth = static_cast<std::uint64_t>(arguments.value);
    return nothing(migration.set_parameters(changes));
  });
  table.on<command::migrate_set_cache_size>([&migration](auto&& arguments, Context&) {
    schema::MigrateSetParameters changes;
    changes.xbzrle_cache_size = static_cast<std::uint64_t>(arguments.value);
    return nothing(migration.set_parameters(changes));
  });
  table.on<command::query_migrate_cache_size>([&migration](auto&&, Context&) -> Result<std::int64_t> {
    return static_cast<std::int64_t>(migration.parameters().xbzrle_cache_size.value_or(0));
  });
}

/// Of `uri` and `channels` exactly one is there. The schema has `uri` as 7.2 has it, so that who leaves it
/// out is told so in its words; where `channels` stand for it, it is made of them.
template <typename Tag, typename Function>
void on_with_channels(CommandTable& table, Function handler) {
  const auto run = [handler](const boost::json::object& json,
                             Context& context) -> Result<boost::json::value> {
    boost::json::object arguments = json;
    if (arguments.contains("channels") && !arguments.emplace("uri", "").second)
      return fail("need either 'uri' or 'channels' argument");
    GODWIT_ASSIGN(auto request, schema::from_json<typename Tag::Arguments>(arguments));
    if (request.channels) {
      GODWIT_ASSIGN(request.uri, uri_of(*request.channels));
    }
    GODWIT_TRY(handler(std::move(request), context));
    return schema::to_json(Nothing{});
  };
  table.add({Tag::name, Tag::allow_oob, run});
}

void register_flow(CommandTable& table, Migration& migration) {
  on_with_channels<command::migrate>(table, [&migration](auto&& request, Context& context) {
    return migration.migrate(request, context.descriptors());
  });
  on_with_channels<command::migrate_incoming>(table, [&migration](auto&& request, Context& context) {
    return migration.incoming(request.uri, context.descriptors(), request.exit_on_error.value_or(true));
  });
  table.on<command::migrate_cancel>([&migration](auto&&, Context&) { return nothing(migration.cancel()); });
  table.on<command::migrate_continue>(
      [&migration](auto&& request, Context&) { return nothing(migration.proceed(request.state)); });
  table.on<command::migrate_start_postcopy>(
      [&migration](auto&&, Context&) { return nothing(migration.start_postcopy()); });
  table.on<command::migrate_pause>([&migration](auto&&, Context&) { return nothing(migration.pause()); });
  table.on<command::migrate_recover>([&migration](auto&& request, Context& context) {
    return nothing(migration.recover(request.uri, context.descriptors()));
  });
  table.on<command::query_migrate>(
      [&migration](auto&&, Context&) -> Result<schema::MigrationInfo> { return migration.info(); });
}

/// What belongs to displays, replication and COLO: the answers of a machine that uses none of them.
void register_neighbours(CommandTable& table, Migration& migration) {
  table.on<command::client_migrate_info>([](auto&& request, Context&) -> Result<Nothing> {
    if (request.protocol != "spice") return fail("Parameter 'protocol' expects 'spice'");
    return fail(Error("SPICE is not in use").with_class(ErrorClass::device_not_active));
  });
  table.on<command::x_colo_lost_heartbeat>(
      [](auto&&, Context&) -> Result<Nothing> { return fail("The feature 'colo' is not enabled"); });
  table.on<command::query_colo_status>([](auto&&, Context&) -> Result<schema::COLOStatus> {
    return schema::COLOStatus{schema::COLOMode::none, schema::COLOMode::none, schema::COLOExitReason::none};
  });
  table.on<command::xen_save_devices_state>([&migration](auto&& request, Context&) {
    return nothing(migration.save_device_state(request.filename, request.live.value_or(true)));
  });
  table.on<command::xen_load_devices_state>([&migration](auto&& request, Context&) {
    return nothing(migration.load_device_state(request.filename));
  });
  table.on<command::xen_set_replication>([](auto&& request, Context&) -> Result<Nothing> {
    if (request.enable && request.failover)
      return fail("Parameter 'failover' is only for stopping replication");
    return Nothing{};  // no replication driver is in use, so there is nothing to switch
  });
  table.on<command::query_xen_replication_status>(
      [](auto&&, Context&) -> Result<schema::ReplicationStatus> { return schema::ReplicationStatus{}; });
  table.on<command::xen_colo_do_checkpoint>([](auto&&, Context&) -> Result<Nothing> { return Nothing{}; });
}

}  // namespace

void register_migration_commands(CommandTable& table, Migration& migration) {
  register_settings(table, migration);
  register_old_setters(table, migration);
  register_flow(table, migration);
  register_neighbours(table, migration);
}

}  // namespace godwit::qmp
