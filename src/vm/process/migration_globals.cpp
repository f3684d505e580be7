#include "vm/process/migration_globals.h"

#include <boost/json.hpp>
#include <string_view>

#include <godwit/schema/json.h>

#include "base/fail.h"
#include "vm/process/option_values.h"

namespace godwit::vm {

namespace {

bool* find_switch(MigrationOptions& options, std::string_view property) {
  if (property == "send-configuration") return &options.send_configuration;
  if (property == "send-section-footer") return &options.send_section_footer;
  if (property == "store-global-state") return &options.store_global_state;
  return nullptr;
}

/// What the text may mean: a flag, a number, or itself.
std::vector<boost::json::value> readings(std::string_view property, const std::string& text) {
  std::vector<boost::json::value> values;
  if (const auto flag = parse_flag(property, text)) values.emplace_back(*flag);
  if (const auto size = parse_size(property, text)) values.emplace_back(*size);
  values.emplace_back(boost::json::string(text));
  return values;
}

/// True if there is a parameter of this name. The first reading of the text that it takes is put into
/// `parameters`.
Result<bool> preset_parameter(boost::json::object& parameters, const std::string& name,
                              const std::string& text) {
  std::string first_error;
  for (boost::json::value& value : readings(name, text)) {
    boost::json::object candidate;
    candidate[name] = value;
    const auto parsed = schema::from_json<schema::MigrateSetParameters>(candidate);
    if (parsed) {
      parameters[name] = std::move(value);
      return true;
    }
    if (parsed.error().what() == fmt::format("Parameter '{}' is unexpected", name)) return false;
    if (first_error.empty()) first_error = parsed.error().what();
  }
  return fail("{}", first_error);
}

}  // namespace

Result<MigrationPresets> resolve_globals(std::span<const MigrationGlobal> globals) {
  MigrationPresets presets;
  boost::json::object parameters;
  const auto apply = [&](const MigrationGlobal& global) -> Result<bool> {
    if (bool* wanted = find_switch(presets.options, global.property)) {
      GODWIT_ASSIGN(*wanted, parse_flag(global.property, global.value));
      return true;
    }
    std::string name = global.property;
    for (const bool stripped : {false, true}) {
      if (stripped && !name.starts_with("x-")) break;
      if (stripped) name.erase(0, 2);
      if (const auto capability = schema::from_string<schema::MigrationCapability>(name)) {
        GODWIT_ASSIGN(const bool state, parse_flag(name, global.value));
        presets.capabilities.push_back({*capability, state});
        return true;
      }
      GODWIT_ASSIGN(const bool taken, preset_parameter(parameters, name, global.value));
      if (taken) return true;
    }
    return false;
  };
  for (const MigrationGlobal& global : globals) {
    auto known = apply(global);
    if (known && !*known) known = fail("Property 'migration.{}' not found", global.property);
    if (!known)
      return std::unexpected(std::move(known).error().in(
          fmt::format("can't apply global migration.{}={}", global.property, global.value)));
  }
  GODWIT_ASSIGN(presets.parameters, schema::from_json<schema::MigrateSetParameters>(parameters));
  return presets;
}

}  // namespace godwit::vm
