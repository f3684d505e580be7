// Where a migration stream goes to or comes from, as the `uri` arguments and -incoming say it
// (wire-format section 13, control-plane section 9.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <godwit/result.h>

namespace godwit::channel {

enum class Direction : std::uint8_t { outgoing, incoming };

/// `tcp:HOST:PORT[,to=N][,ipv4[=on|off]][,ipv6[=on|off]][,keep-alive[=on|off]]`
struct Tcp {
  std::string host;  ///< name or number without brackets; empty means any address (listening)
  std::string port;  ///< number or service name; "0" lets a listener pick one
  std::optional<std::uint16_t> to{};  ///< a listener tries port, port + 1, ... to
  std::optional<bool> ipv4{};         ///< unset: as the other one says, or both
  std::optional<bool> ipv6{};
  bool keep_alive = false;  ///< the connecting side only
  bool numeric = false;     ///< no name lookups
  bool operator==(const Tcp&) const = default;
};

/// `unix:PATH`
struct Unix {
  std::string path;
  bool operator==(const Unix&) const = default;
};

/// `vsock:CID:PORT`. Kept as text: a bad number is reported when the address is used, not when it is read.
struct Vsock {
  std::string cid;
  std::string port;
  bool operator==(const Vsock&) const = default;
};

/// `fd:NAME`: a descriptor that a client passed before; incoming also the number of an inherited one.
struct Fd {
  std::string name;
  bool operator==(const Fd&) const = default;
};

/// `exec:COMMAND`, run by /bin/sh -c. An empty command is a command that ends at once.
struct Exec {
  std::string command;
  bool operator==(const Exec&) const = default;
};

/// `file:PATH[,offset=N]`. The path may be /dev/fdset/N.
struct File {
  std::string path;
  std::uint64_t offset = 0;  ///< bytes
  bool operator==(const File&) const = default;
};

/// `rdma:HOST:PORT`
struct Rdma {
  std::string host;
  std::string port;
  bool operator==(const Rdma&) const = default;
};

using Address = std::variant<Tcp, Unix, Vsock, Fd, Exec, File, Rdma>;

/// Reads a URI. "defer" is not an address: whoever allows it checks before. Errors are the texts of a 7.2
/// peer: `Parameter 'uri' expects a valid migration protocol` (outgoing) or `unknown migration protocol: URI`
/// (incoming), `error parsing address '...'`, `invalid Unix socket address`.
Result<Address> parse_address(std::string_view uri, Direction direction);

/// Whether a migration over this address may have several channels (multifd, preempt): tcp, unix, vsock.
bool supports_multiple_channels(const Address& address);

/// Whether connect() neither waits nor fails for reasons of the network: fd, exec, file. Their errors belong
/// into the reply of the command; those of the others arrive later.
bool connects_at_once(const Address& address);

/// The address as a person writes it: "tcp:127.0.0.1:4444".
std::string to_string(const Address& address);

}  // namespace godwit::channel
