#include "vm/process/chardev_options.h"

#include <utility>

#include "base/fail.h"
#include "vm/process/option_values.h"

namespace godwit::vm {

namespace {

using Kind = ChardevConfig::Kind;

Result<> take_socket_options(OptionValues& values, ChardevConfig& chardev) {
  GODWIT_ASSIGN(const auto server, values.take_flag("server"));
  chardev.server = server.value_or(false);
  GODWIT_ASSIGN(const auto wait, values.take_flag("wait"));
  if (wait && !chardev.server)
    return fail("'wait' option is incompatible with socket in client connect mode");
  chardev.wait = wait.value_or(chardev.server);
  GODWIT_TRY(values.take_flag("nodelay"));
  GODWIT_TRY(values.take_flag("delay"));
  for (const std::string_view mode : {"telnet", "tn3270", "websocket", "abstract"}) {
    GODWIT_ASSIGN(const auto wanted, values.take_flag(mode));
    if (wanted.value_or(false)) return fail("'{}' sockets are not built yet", mode);
  }
  for (const std::string_view option : {"reconnect", "reconnect-ms", "tls-creds", "tls-authz"}) {
    const auto value = values.take(option);
    if (value && *value != "0") return fail("'{}' of a socket character device is not built yet", option);
  }
  values.ignore({"ipv4", "ipv6", "tight"});
  return {};
}

/// "HOST:PORT", "[HOST]:PORT" or ":PORT".
Result<> split_address(std::string_view address, ChardevConfig& chardev) {
  const std::size_t colon = address.rfind(':');
  const bool bracketed = address.starts_with('[');
  if (colon == std::string_view::npos || colon + 1 == address.size() ||
      (bracketed && address[colon - 1] != ']'))
    return fail("'{}' is not HOST:PORT", address);
  std::string_view host = address.substr(0, colon);
  if (bracketed) host = host.substr(1, host.size() - 2);
  chardev.host = host;
  chardev.port = address.substr(colon + 1);
  return {};
}

Result<> parse_socket(OptionValues& values, ChardevConfig& chardev) {
  auto path = values.take("path");
  auto host = values.take("host");
  auto port = values.take("port");
  if (values.take("fd")) return fail("character devices on an inherited descriptor (fd=) are not built yet");
  if (path.has_value() == port.has_value())
    return fail("a socket character device needs either 'path' or 'host' and 'port'");
  if (path) {
    chardev.kind = Kind::unix_socket;
    chardev.path = *std::move(path);
  } else {
    chardev.kind = Kind::tcp_socket;
    chardev.host = host.value_or("");
    chardev.port = *std::move(port);
  }
  return take_socket_options(values, chardev);
}

Result<> parse_backend(std::string_view backend, OptionValues& values, ChardevConfig& chardev) {
  if (values.take("mux").value_or("off") == "on")
    return fail("multiplexed character devices (mux=on) are not built yet");
  if (values.has("logfile")) return fail("logging of a character device (logfile=) is not built yet");
  if (backend == "socket") return parse_socket(values, chardev);
  if (backend == "null") {
    chardev.kind = Kind::null;
  } else if (backend == "stdio") {
    chardev.kind = Kind::stdio;
    GODWIT_TRY(values.take_flag("signal"));
  } else if (backend == "pty") {
    chardev.kind = Kind::pty;
  } else if (backend == "file") {
    chardev.kind = Kind::file;
    GODWIT_ASSIGN(chardev.path, values.require("path"));
    GODWIT_ASSIGN(const auto append, values.take_flag("append"));
    chardev.append = append.value_or(false);
  } else {
    return fail("'{}' is not a valid char driver name: socket, file, stdio, pty and null are", backend);
  }
  return {};
}

}  // namespace

Result<ChardevConfig> parse_chardev(std::string_view text) {
  OptionValues values = OptionValues::parse(text, "backend");
  ChardevConfig chardev;
  GODWIT_ASSIGN(const std::string backend, values.require("backend"));
  GODWIT_ASSIGN(chardev.id, values.require("id"));
  if (!is_identifier(chardev.id)) return fail("Parameter 'id' expects an identifier");
  GODWIT_TRY(parse_backend(backend, values, chardev));
  GODWIT_TRY(values.finish());
  return chardev;
}

Result<ChardevConfig> parse_short_chardev(std::string_view text, std::string id) {
  ChardevConfig chardev;
  chardev.id = std::move(id);
  const std::size_t colon = text.find(':');
  const std::string_view backend = text.substr(0, colon);
  const std::string_view rest = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  if (backend == "file") {  // the rest is the path, whatever is in it
    if (rest.empty()) return fail("Parameter 'path' is missing");
    chardev.kind = Kind::file;
    chardev.path = rest;
    return chardev;
  }
  if (backend == "unix" || backend == "tcp") {
    OptionValues values = OptionValues::parse("address=" + std::string(rest));
    const std::string address = values.take("address").value_or("");
    if (address.empty()) return fail("'{}' lacks an address", text);
    if (backend == "unix") {
      chardev.kind = Kind::unix_socket;
      chardev.path = address;
    } else {
      chardev.kind = Kind::tcp_socket;
      GODWIT_TRY(split_address(address, chardev));
    }
    GODWIT_TRY(take_socket_options(values, chardev));
    GODWIT_TRY(values.finish());
    return chardev;
  }
  if (backend == "null" || backend == "stdio" || backend == "pty") {
    OptionValues values;
    GODWIT_TRY(parse_backend(backend, values, chardev));
    return chardev;
  }
  return fail("'{}' is not a valid char driver name: unix, tcp, file, stdio, pty and null are", backend);
}

}  // namespace godwit::vm
