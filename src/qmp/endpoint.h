// Where a monitor is reached (control-plane section 1.1, command-line section 2).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <godwit/result.h>

#include "base/system.h"

namespace godwit::qmp {

/// A socket that this process listens on. One client at a time is served; the next one waits in the backlog.
struct Listening {
  bool wait_for_client = false;  ///< nothing else starts before the first client has come
};

struct UnixEndpoint {
  std::string path;
  std::optional<Listening> server;  ///< absent: connect to it
};

struct TcpEndpoint {
  std::string host;  ///< name or address; empty for all addresses
  std::string port;  ///< number or service; "0" lets the system choose
  std::optional<Listening> server;
};

/// Standard input and output. End of input ends the conversation, not the process.
struct StdioEndpoint {};

/// A connected socket, or anything else that can be read and written, that somebody else has opened.
struct OpenEndpoint {
  UniqueFd fd;
};

using Endpoint = std::variant<UnixEndpoint, TcpEndpoint, StdioEndpoint, OpenEndpoint>;

/// Reads "unix:PATH,server=on,wait=off", "tcp:HOST:PORT,...", "stdio". A comma inside a value is doubled.
/// `server`, `nowait` and the like are accepted as they were written of old; `wait` is on unless said
/// otherwise.
Result<Endpoint> parse_endpoint(std::string_view text);

/// "unix:PATH" and so on, for messages.
std::string to_string(const Endpoint& endpoint);

/// True for a server that other things wait for.
bool waits_for_client(const Endpoint& endpoint);

}  // namespace godwit::qmp
