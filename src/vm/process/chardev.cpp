#include "vm/process/chardev.h"

#include <cassert>
#include <cerrno>
#include <fcntl.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/log.h"

namespace godwit::vm {

namespace {

using Kind = ChardevConfig::Kind;

Result<OpenChardev> two_ways(UniqueFd fd) {
  OpenChardev opened;
  GODWIT_ASSIGN(opened.output, fd.duplicate());
  opened.input = std::move(fd);
  return opened;
}

Result<OpenChardev> open_stdio() {
  GODWIT_ASSIGN(qmp::Stream stream, qmp::open_stdio());
  OpenChardev opened;
  opened.input = std::move(stream.in);
  opened.output = std::move(stream.out);
  return opened;
}

Result<OpenChardev> open_file(const ChardevConfig& config) {
  const int mode = O_WRONLY | O_CREAT | O_CLOEXEC | (config.append ? O_APPEND : O_TRUNC);
  UniqueFd fd(::open(config.path.c_str(), mode, 0666));
  if (!fd) return system_error(fmt::format("Could not open '{}'", config.path), errno);
  OpenChardev opened;
  opened.output = std::move(fd);
  return opened;
}

/// Tells on stderr where its other end is.
Result<UniqueFd> open_pty(const ChardevConfig& config) {
  UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  char name[64];
  if (!master || ::grantpt(master.get()) < 0 || ::unlockpt(master.get()) < 0 ||
      ::ptsname_r(master.get(), name, sizeof name) != 0)
    return system_error("Failed to create PTY", errno);
  log::warn("char device redirected to {} (label {})", name, config.id);
  return master;
}

std::optional<qmp::Listening> listening(const ChardevConfig& config) {
  if (!config.server) return std::nullopt;
  return qmp::Listening{.wait_for_client = config.wait};
}

template <typename Endpoint>
Result<OpenChardev> open_socket(const Endpoint& endpoint) {
  if (!endpoint.server) {
    GODWIT_ASSIGN(UniqueFd client, qmp::connect_to(endpoint));
    return two_ways(std::move(client));
  }
  OpenChardev opened;
  GODWIT_ASSIGN(opened.listener, qmp::listen_on(endpoint));
  return opened;
}

}  // namespace

Result<OpenChardev> open_chardev(const ChardevConfig& config) {
  switch (config.kind) {
    case Kind::null:
      break;
    case Kind::file:
      return open_file(config);
    case Kind::stdio:
      return open_stdio();
    case Kind::pty: {
      GODWIT_ASSIGN(UniqueFd master, open_pty(config));
      return two_ways(std::move(master));
    }
    case Kind::unix_socket:
      return open_socket(qmp::UnixEndpoint{config.path, listening(config)});
    case Kind::tcp_socket:
      return open_socket(qmp::TcpEndpoint{config.host, config.port, listening(config)});
  }
  return OpenChardev{};
}

Result<std::optional<qmp::Endpoint>> monitor_endpoint(const ChardevConfig& config) {
  assert(config.kind != Kind::file);
  switch (config.kind) {
    case Kind::stdio:
      return qmp::StdioEndpoint{};
    case Kind::pty: {
      GODWIT_ASSIGN(UniqueFd master, open_pty(config));
      return qmp::OpenEndpoint{std::move(master)};
    }
    case Kind::unix_socket:
      return qmp::UnixEndpoint{config.path, listening(config)};
    case Kind::tcp_socket:
      return qmp::TcpEndpoint{config.host, config.port, listening(config)};
    default:
      return std::nullopt;
  }
}

}  // namespace godwit::vm
