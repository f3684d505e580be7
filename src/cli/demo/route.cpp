#include "cli/demo/route.h"

#include <cerrno>
#include <sys/socket.h>
#include <sys/stat.h>
#include <variant>

#include "base/fail.h"

namespace godwit::cli::demo {
namespace {

namespace command = schema::command;

Result<> listen(Machine& destination, const std::string& uri) {
  schema::MigrateIncomingArguments arguments;
  arguments.uri = uri;
  GODWIT_TRY(destination.monitor().execute<command::migrate_incoming>(arguments));
  return {};
}

Result<Route> open_tcp(Machine& destination) {
  GODWIT_TRY(listen(destination, "tcp:127.0.0.1:0"));
  GODWIT_ASSIGN(const auto info, destination.monitor().execute<command::query_migrate>());
  if (info.socket_address)
    for (const auto& address : *info.socket_address)
      if (const auto* inet = std::get_if<schema::InetSocketAddress>(&address.u))
        return Route{.source_uri = fmt::format("tcp:{}:{}", inet->host, inet->port),
                     .late_destination_uri = {},
                     .two_way = true};
  return fail("the destination does not say at which port it listens");
}

Result<Route> open_unix(Machine& destination, const TemporaryDirectory& directory) {
  const auto uri = "unix:" + directory.file("move.sock");
  GODWIT_TRY(listen(destination, uri));
  return Route{.source_uri = uri, .late_destination_uri = {}, .two_way = true};
}

/// Both get an end of a socket pair over their monitors.
Result<Route> open_fd(Machine& source, Machine& destination) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return system_error("cannot create a socket pair", errno);
  const UniqueFd source_end(ends[0]);
  const UniqueFd destination_end(ends[1]);
  schema::GetfdArguments arguments;
  arguments.fdname = "move";
  GODWIT_TRY(source.monitor().execute<command::getfd>(arguments, source_end.get()));
  GODWIT_TRY(destination.monitor().execute<command::getfd>(arguments, destination_end.get()));
  GODWIT_TRY(listen(destination, "fd:move"));
  return Route{.source_uri = "fd:move", .late_destination_uri = {}, .two_way = true};
}

std::string shell_word(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

/// Two commands joined by a named pipe, as it would be two ends of an ssh.
Result<Route> open_exec(Machine& destination, const TemporaryDirectory& directory) {
  const auto pipe = directory.file("move.pipe");
  if (::mkfifo(pipe.c_str(), 0600) != 0) return system_error("cannot create the pipe " + pipe, errno);
  GODWIT_TRY(listen(destination, "exec:exec cat " + shell_word(pipe)));
  return Route{
      .source_uri = "exec:exec cat > " + shell_word(pipe), .late_destination_uri = {}, .two_way = false};
}

}  // namespace

Result<Route> open_route(Transport transport, Machine& source, Machine& destination,
                         const TemporaryDirectory& directory) {
  const auto open = [&]() -> Result<Route> {
    switch (transport) {
      case Transport::tcp:
        return open_tcp(destination);
      case Transport::unix_socket:
        return open_unix(destination, directory);
      case Transport::fd:
        return open_fd(source, destination);
      case Transport::exec:
        return open_exec(destination, directory);
      case Transport::file:
        break;
    }
    const auto uri = "file:" + directory.file("move.state");
    return Route{.source_uri = uri, .late_destination_uri = uri, .two_way = false};
  };
  auto route = open();
  if (!route) return std::unexpected(destination.explain(std::move(route).error(), "listen"));
  return route;
}

}  // namespace godwit::cli::demo
