// Monitors, qtest, migration, start and end of the process.
#include "base/fail.h"
#include "vm/process/chardev_options.h"
#include "vm/process/option_handlers.h"
#include "vm/process/option_table.h"
#include "vm/process/option_values.h"

namespace godwit::vm::options {

namespace {

constexpr std::string_view no_human_monitor =
    "the human monitor is not built yet: use -qmp, or switch this one off with -monitor none";

Result<> short_monitor(Draft& draft, const std::string& argument, bool pretty) {
  if (argument == "none" || argument == "null") return {};
  auto& process = draft.result.process;
  if (argument.starts_with("chardev:")) {
    process.monitors.push_back({argument.substr(8), pretty});
    return {};
  }
  std::string id = fmt::format("compat_monitor{}", draft.short_monitors++);
  GODWIT_ASSIGN(auto chardev, parse_short_chardev(argument, id));
  process.chardevs.push_back(std::move(chardev));
  process.monitors.push_back({std::move(id), pretty});
  return {};
}

/// Does this argument of -incoming describe a channel (dotted or JSON form) rather than give a URI?
bool describes_channel(const std::string& argument) {
  if (argument.starts_with('{')) return true;
  for (const std::string& key : OptionValues::parse(argument).remaining())
    if (key.starts_with("addr.")) return true;
  return false;
}

}  // namespace

Result<> name(Draft& draft, const std::string& argument) {
  OptionValues values = OptionValues::parse(argument, "guest");
  if (auto guest = values.take("guest")) draft.result.process.name = *std::move(guest);
  GODWIT_TRY(values.take_flag("debug-threads"));  // threads always show by name
  values.ignore({"process"});
  return values.finish();
}

Result<> mon(Draft& draft, const std::string& argument) {
  OptionValues values = OptionValues::parse(argument, "chardev");
  MonitorConfig config;
  GODWIT_ASSIGN(config.chardev, values.require("chardev"));
  const std::string mode = values.take("mode").value_or("readline");
  if (mode == "readline") return fail("{}", no_human_monitor);
  if (mode != "control") return fail("Invalid parameter '{}': mode is 'control' or 'readline'", mode);
  GODWIT_ASSIGN(const auto pretty, values.take_flag("pretty"));
  config.pretty = pretty.value_or(false);
  values.ignore({"id"});
  GODWIT_TRY(values.finish());
  draft.result.process.monitors.push_back(std::move(config));
  return {};
}

Result<> qmp(Draft& draft, const std::string& argument) {
  return short_monitor(draft, argument, false);
}

Result<> qmp_pretty(Draft& draft, const std::string& argument) {
  return short_monitor(draft, argument, true);
}

Result<> monitor(Draft&, const std::string& argument) {
  if (argument != "none" && argument != "null") return fail("{}", no_human_monitor);
  return {};
}

Result<> qtest(Draft& draft, const std::string& argument) {
  GODWIT_ASSIGN(const auto chardev, parse_short_chardev(argument, "qtest"));
  if (chardev.kind != ChardevConfig::Kind::unix_socket || chardev.server)
    return fail("qtest connects to unix:PATH; other forms are not built yet");
  draft.result.process.qtest_socket = chardev.path;
  return {};
}

Result<> global(Draft& draft, const std::string& argument) {
  std::string driver;
  MigrationGlobal global;
  const std::size_t dot = argument.find('.');
  const std::size_t equals = argument.find('=');
  if (dot < equals && equals != std::string::npos) {
    driver = argument.substr(0, dot);
    global = {argument.substr(dot + 1, equals - dot - 1), argument.substr(equals + 1)};
  } else {
    OptionValues values = OptionValues::parse(argument);
    GODWIT_ASSIGN(driver, values.require("driver"));
    GODWIT_ASSIGN(global.property, values.require("property"));
    GODWIT_ASSIGN(global.value, values.require("value"));
    GODWIT_TRY(values.finish());
  }
  if (driver == "migration")
    draft.result.process.migration_globals.push_back(std::move(global));
  else
    draft.result.process.warnings.push_back(
        fmt::format("-global {}: there is no '{}' here; the value is not used", argument, driver));
  return {};
}

Result<> incoming(Draft& draft, const std::string& argument) {
  if (describes_channel(argument))
    return fail("channel descriptions (main and cpr channels) are not built yet; a URI or 'defer' is");
  if (argument.empty()) return fail("a URI or 'defer' is expected");
  draft.result.process.incoming = argument;
  draft.result.machine.incoming = true;
  return {};
}

Result<> only_migratable(Draft& draft, const std::string&) {
  draft.result.process.only_migratable = true;
  return {};
}

Result<> start_stopped(Draft& draft, const std::string&) {
  draft.result.machine.start_stopped = true;
  return {};
}

Result<> no_shutdown(Draft& draft, const std::string&) {
  draft.result.process.keep_on_shutdown = true;
  return {};
}

Result<> no_reboot(Draft& draft, const std::string&) {
  draft.result.process.exit_on_reset = true;
  return {};
}

Result<> no_defaults(Draft& draft, const std::string&) {
  draft.no_defaults = true;
  return {};
}

Result<> message_format(Draft& draft, const std::string& argument) {
  OptionValues values = OptionValues::parse(argument);
  GODWIT_ASSIGN(const auto timestamp, values.take_flag("timestamp"));
  if (timestamp) draft.result.process.timestamps = *timestamp;
  GODWIT_TRY(values.take_flag("guest-name"));
  return values.finish();
}

Result<> kernel(Draft&, const std::string&) {
  return fail("booting a Linux kernel (-kernel, -initrd, -append) is not built yet");
}

Result<> accepted(Draft&, const std::string&) {
  return {};
}

Result<> help(Draft& draft, const std::string&) {
  draft.result.answer = help_text();
  return {};
}

Result<> version(Draft& draft, const std::string&) {
  draft.result.answer = "godwit-system-x86_64 version " GODWIT_VERSION "\n";
  return {};
}

}  // namespace godwit::vm::options
