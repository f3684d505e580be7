// Opening what an Endpoint names. Blocking only while a host name is looked up or a client socket connects.
#pragma once

#include <string>

#include <godwit/result.h>

#include "base/system.h"
#include "qmp/endpoint.h"

namespace godwit::qmp {

/// The two directions of a conversation. `out` is none if `in` serves both.
struct Stream {
  UniqueFd in;
  UniqueFd out;
};

/// Removes the file of a unix socket that this process listens on.
class SocketFile {
 public:
  SocketFile() = default;
  explicit SocketFile(std::string path) : path_(std::move(path)) {}
  SocketFile(SocketFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  SocketFile& operator=(SocketFile&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~SocketFile();

 private:
  std::string path_;
};

struct Listener {
  UniqueFd fd;
  SocketFile file;
  std::string address;  ///< "tcp:127.0.0.1:34463", with the port that was chosen
};

/// Takes the place of a socket file that is there already, as users of the option expect.
/// Errors: `Failed to bind socket to PATH: ...`, `UNIX socket path 'PATH' is too long`.
Result<Listener> listen_on(const UnixEndpoint& endpoint);
/// Errors: `address resolution failed for HOST:PORT: ...`, `Failed to find an available port: ...`.
Result<Listener> listen_on(const TcpEndpoint& endpoint);

/// Error: `Failed to connect to 'PATH': ...`.
Result<UniqueFd> connect_to(const UnixEndpoint& endpoint);
Result<UniqueFd> connect_to(const TcpEndpoint& endpoint);

/// Standard input and output without touching the flags that other processes see.
Result<Stream> open_stdio();

/// The next client of `listener`, non-blocking; none if there is none at the moment. Fails when the process
/// has no descriptor or memory left: the client is still in the backlog.
Result<UniqueFd> accept_client(int listener);

}  // namespace godwit::qmp
