#include "qmp/endpoint.h"

#include <optional>
#include <utility>
#include <vector>

#include "base/fail.h"

namespace godwit::qmp {
namespace {

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

/// Splits at single commas; a double one is a comma.
std::vector<std::string> split_options(std::string_view text) {
  std::vector<std::string> parts(1);
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != ',') {
      parts.back() += text[at];
    } else if (at + 1 < text.size() && text[at + 1] == ',') {
      parts.back() += ',';
      ++at;
    } else {
      parts.emplace_back();
    }
  }
  return parts;
}

struct Switches {
  std::optional<bool> server;
  std::optional<bool> wait;
};

Result<> read_switch(Switches& switches, std::string_view option) {
  const std::size_t equals = option.find('=');
  std::string_view name = option.substr(0, equals);
  std::string_view value = equals == std::string_view::npos ? "on" : option.substr(equals + 1);
  if (equals == std::string_view::npos && name.starts_with("no")) {
    name.remove_prefix(2);
    value = "off";
  }
  if (name != "server" && name != "wait" && name != "nodelay" && name != "delay")
    return fail("Invalid parameter '{}'", option.substr(0, equals));
  if (value != "on" && value != "off") return fail("Parameter '{}' expects 'on' or 'off'", name);
  if (name == "server") switches.server = value == "on";
  if (name == "wait") switches.wait = value == "on";
  return {};
}

Result<std::optional<Listening>> read_switches(const std::vector<std::string>& parts) {
  Switches switches;
  for (std::size_t at = 1; at < parts.size(); ++at)
    if (!parts[at].empty()) GODWIT_TRY(read_switch(switches, parts[at]));
  if (switches.server.value_or(false)) return Listening{.wait_for_client = switches.wait.value_or(true)};
  if (switches.wait) return fail("'wait' option is incompatible with socket in client connect mode");
  return std::nullopt;
}

Result<Endpoint> parse_tcp(std::string_view address, std::optional<Listening> server) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return fail("error parsing address '{}'", address);
  std::string_view host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return TcpEndpoint{std::string(host), std::string(address.substr(colon + 1)), server};
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  const std::vector<std::string> parts = split_options(text);
  const std::string_view target = parts[0];
  if (target == "stdio") return StdioEndpoint{};
  const bool is_unix = target.starts_with("unix:");
  if (!is_unix && !target.starts_with("tcp:")) return fail("'{}' is not a valid char driver", target);
  GODWIT_ASSIGN(const auto server, read_switches(parts));
  if (!is_unix) return parse_tcp(target.substr(4), server);
  return UnixEndpoint{std::string(target.substr(5)), server};
}

std::string to_string(const Endpoint& endpoint) {
  return std::visit(Overloaded{
                        [](const UnixEndpoint& to) { return fmt::format("unix:{}", to.path); },
                        [](const TcpEndpoint& to) {
                          const bool bracketed = to.host.contains(':');
                          return fmt::format("tcp:{}{}{}:{}", bracketed ? "[" : "", to.host,
                                             bracketed ? "]" : "", to.port);
                        },
                        [](const StdioEndpoint&) { return std::string("stdio"); },
                        [](const OpenEndpoint& to) { return fmt::format("fd:{}", to.fd.get()); },
                    },
                    endpoint);
}

bool waits_for_client(const Endpoint& endpoint) {
  const auto waits = [](const auto& to) {
    if constexpr (requires { to.server; })
      return to.server && to.server->wait_for_client;
    else
      return false;
  };
  return std::visit(waits, endpoint);
}

}  // namespace godwit::qmp
