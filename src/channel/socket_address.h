// Socket addresses: built from what the user wrote, and turned into text.
#pragma once

#include <cstdint>
#include <string>
#include <sys/socket.h>

#include <godwit/result.h>

#include "channel/address.h"
#include "channel/listener.h"

namespace godwit::channel {

/// One address that a socket call takes.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  int family() const { return storage.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  /// The port of an inet address, in host order; 0 for others.
  std::uint16_t port() const;
  void set_port(std::uint16_t port);
};

/// `UNIX socket path '/...' is too long`
Result<SocketAddress> unix_address(const Unix& address);

/// `Failed to parse cid 'x'`, `Failed to parse port 'x'`
Result<SocketAddress> vsock_address(const Vsock& address);

/// AF_INET, ...; AF_UNSPEC if it is no socket.
int address_family(int socket);

/// "127.0.0.1:40312", "[::1]:80", a unix socket's path, "2:5000" (vsock). For logs.
std::string peer_name(int socket);

/// What the socket listens on, asked from the kernel.
ListeningAddress listening_address(int socket);

}  // namespace godwit::channel
