// Negotiation and introspection (control-plane sections 1.2 and 13).
#include <algorithm>
#include <string>
#include <vector>

#include <godwit/schema/commands.h>
#include <godwit/schema/introspection.h>

#include "base/fail.h"
#include "qmp/monitor_commands.h"
#include "qmp/version.h"

namespace godwit::qmp {
namespace {

namespace command = schema::command;

Result<schema::Nothing> negotiate(schema::QmpCapabilitiesArguments&& arguments, Context& context) {
  if (context.mode() == SessionMode::command)
    return fail(Error("Capabilities negotiation is already complete, command ignored")
                    .with_class(ErrorClass::command_not_found));
  Context::Capabilities wanted = arguments.enable.value_or(Context::Capabilities());
  std::ranges::sort(wanted);
  wanted.erase(std::ranges::unique(wanted).begin(), wanted.end());

  std::string refused;
  for (const schema::QMPCapability capability : wanted) {
    if (std::ranges::find(context.offered(), capability) != context.offered().end()) continue;
    if (!refused.empty()) refused += ", ";
    refused += to_string(capability);
  }
  if (!refused.empty()) return fail("Capability {} not available", refused);
  context.enable(std::move(wanted));
  return schema::Nothing{};
}

template <typename Info>
std::vector<Info> named(std::span<const std::string_view> names) {
  std::vector<Info> infos;
  infos.reserve(names.size());
  for (const std::string_view name : names) infos.push_back({.name = std::string(name)});
  return infos;
}

}  // namespace

void add_protocol_commands(CommandTable& table) {
  table.on<command::qmp_capabilities>(negotiate);
  table.on<command::query_version>([]() -> Result<schema::VersionInfo> { return monitor_version(); });
  table.on<command::query_commands>([]() -> Result<std::vector<schema::CommandInfo>> {
    return named<schema::CommandInfo>(schema::command_names());
  });
  table.on<command::query_events>([]() -> Result<std::vector<schema::EventInfo>> {
    return named<schema::EventInfo>(schema::event_names());
  });
  table.on<command::query_qmp_schema>([]() -> Result<boost::json::value> { return schema::qmp_schema(); });
}

}  // namespace godwit::qmp
