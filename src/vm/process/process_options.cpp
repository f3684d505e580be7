// Monitors, qtest, migration, start and end of the process.
#include <boost/json.hpp>

#include <godwit/schema/json.h>

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

/// A channel as JSON, or with dots: "main,addr.transport=socket,addr.type=unix,addr.path=PATH".
Result<schema::MigrationChannel> read_channel(const std::string& argument) {
  boost::json::object channel;
  if (argument.starts_with('{')) {
    boost::system::error_code error;
    const boost::json::value json = boost::json::parse(argument, error);
    if (error || !json.is_object())
      return fail("JSON parse error: {}", error ? error.message() : "not an object");
    return schema::from_json<schema::MigrationChannel>(json.as_object());
  }
  OptionValues values = OptionValues::parse(argument, "channel-type");
  boost::json::object address;
  boost::json::array words;
  for (const std::string& key : values.remaining()) {
    const std::string value = values.take(key).value_or("");
    const std::string member = key.starts_with("addr.") ? key.substr(5) : "";
    if (member.empty()) {
      channel[key] = boost::json::string(value);
    } else if (member.starts_with("args.")) {
      words.push_back(boost::json::string(value));
    } else if (member == "offset") {
      GODWIT_ASSIGN(address[member], parse_size(key, value));
    } else if (member == "ipv4" || member == "ipv6") {
      GODWIT_ASSIGN(address[member], parse_flag(key, value));
    } else {
      address[member] = boost::json::string(value);
    }
  }
  if (!words.empty()) address["args"] = std::move(words);
  channel["addr"] = std::move(address);
  return schema::from_json<schema::MigrationChannel>(channel);
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
  ProcessConfig& process = draft.result.process;
  if (describes_channel(argument)) {
    GODWIT_ASSIGN(auto channel, read_channel(argument));
    if (channel.channel_type == schema::MigrationChannelType::cpr)
      return fail("channels of type 'cpr' are not built yet");
    process.incoming_channels = {std::move(channel)};
    process.incoming.reset();
  } else {
    if (argument.empty()) return fail("a URI or 'defer' is expected");
    process.incoming = argument;
    process.incoming_channels.clear();
  }
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

namespace {

Result<bool> allows(OptionValues& values, std::string_view key, bool otherwise) {
  const auto word = values.take(key);
  if (!word) return otherwise;
  if (*word == "allow") return true;
  if (*word == "deny") return false;
  return fail("invalid argument \"{}\": '{}' takes 'allow' or 'deny'", *word, key);
}

}  // namespace

/// `obsolete` and `elevateprivileges` are denied whatever is asked for: nothing here needs them.
Result<> sandbox(Draft& draft, const std::string& argument) {
  OptionValues values = OptionValues::parse(argument, "enable");
  SandboxConfig& config = draft.result.process.sandbox;
  GODWIT_ASSIGN(const auto enable, values.take_flag("enable"));
  config.on = enable.value_or(true);
  GODWIT_ASSIGN(config.spawn, allows(values, "spawn", true));
  GODWIT_ASSIGN(config.resource_control, allows(values, "resourcecontrol", false));
  values.ignore({"obsolete", "elevateprivileges"});
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
