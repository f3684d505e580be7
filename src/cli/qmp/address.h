// Where a monitor is: a path, "unix:PATH" or "tcp:HOST:PORT".
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "cli/wait.h"

namespace godwit::cli::qmp {

struct UnixAddress {
  std::string path;

  friend bool operator==(const UnixAddress&, const UnixAddress&) = default;
};

struct TcpAddress {
  std::string host;
  std::string port;

  friend bool operator==(const TcpAddress&, const TcpAddress&) = default;
};

using Address = std::variant<UnixAddress, TcpAddress>;

/// An IPv6 host stands in brackets: "tcp:[::1]:4444". What is neither "unix:" nor "tcp:" is a path.
Result<Address> parse_address(std::string_view text);

/// "unix:PATH", "tcp:HOST:PORT".
std::string to_string(const Address& address);

/// A connected, nonblocking socket. The error says what was tried and what to do next.
Result<UniqueFd> connect(const Address& address, Deadline deadline, const StopRequest& stop);

}  // namespace godwit::cli::qmp
