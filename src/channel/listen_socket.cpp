// How listening sockets come to be: names, ports, ranges, paths.
#include <algorithm>
#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "base/fail.h"
#include "channel/resolver.h"
#include "channel/socket_listener.h"

namespace godwit::channel {
namespace {

/// Why no socket could be made, as the step that failed and its errno value.
struct Refusal {
  const char* step;
  int error_number;
};

std::expected<UniqueFd, Refusal> listen_on(const SocketAddress& address, bool v6_only, int backlog) {
  UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return std::unexpected(Refusal{"Failed to create a socket", errno});
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.family() == AF_INET6) {
    const int only = v6_only;
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
  }
  if (::bind(socket.get(), address.get(), address.length) != 0)
    return std::unexpected(Refusal{"Failed to bind socket", errno});
  if (::listen(socket.get(), std::max(backlog, 1)) != 0)
    return std::unexpected(Refusal{"Failed to listen on socket", errno});
  return socket;
}

SocketAddress with_port(SocketAddress address, std::uint16_t port) {
  address.set_port(port);
  return address;
}

std::uint16_t bound_port(int socket) {
  SocketAddress address;
  address.length = sizeof address.storage;
  return ::getsockname(socket, address.get(), &address.length) == 0 ? address.port() : 0;
}

/// Listens on `port` of every address. A port that is taken on one of them is taken; an address that cannot
/// be used at all (no IPv6 here) is left out while another one can.
std::expected<std::vector<UniqueFd>, Refusal> listen_on_port(const std::vector<SocketAddress>& addresses,
                                                             std::uint16_t port, bool v6_only, int backlog) {
  std::vector<UniqueFd> sockets;
  Refusal refusal{"Failed to create a socket", EADDRNOTAVAIL};
  for (const SocketAddress& address : addresses) {
    // Where the kernel picks the port, the same one for all families spares the peer a guess.
    const std::uint16_t picked = port == 0 && !sockets.empty() ? bound_port(sockets.front().get()) : port;
    auto socket = listen_on(with_port(address, picked), v6_only, backlog);
    if (!socket && picked != port) socket = listen_on(with_port(address, port), v6_only, backlog);
    if (socket) {
      sockets.push_back(*std::move(socket));
    } else {
      refusal = socket.error();
      if (refusal.error_number == EADDRINUSE) return std::unexpected(refusal);
    }
  }
  if (sockets.empty()) return std::unexpected(refusal);
  return sockets;
}

}  // namespace

Result<std::unique_ptr<Listener>> listen_tcp(const Tcp& tcp, int backlog) {
  GODWIT_ASSIGN(const auto addresses, resolve(tcp, Purpose::listening, nullptr));
  const unsigned first = addresses.front().port();
  const unsigned last = tcp.to.value_or(static_cast<std::uint16_t>(first));
  if (last < first) return fail("the port range {} to {} is empty", first, last);
  const bool both_asked_for = tcp.ipv4.value_or(false) && tcp.ipv6.value_or(false);
  for (unsigned port = first;; ++port) {
    auto sockets = listen_on_port(addresses, static_cast<std::uint16_t>(port), !both_asked_for, backlog);
    if (sockets) return std::make_unique<SocketListener>(*std::move(sockets));
    const Refusal refusal = sockets.error();
    if (refusal.error_number != EADDRINUSE) return system_error(refusal.step, refusal.error_number);
    if (port == last) return system_error("Failed to find an available port", EADDRINUSE);
  }
}

Result<std::unique_ptr<Listener>> listen_unix(const Unix& address, int backlog) {
  GODWIT_ASSIGN(const auto socket_address, unix_address(address));
  // What a former run left there, of whatever kind: the peer does the same.
  if (::unlink(address.path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
    return system_error(fmt::format("Failed to unlink socket {}", address.path), errno);
  auto socket = listen_on(socket_address, false, backlog);
  if (!socket) {
    const bool named = socket.error().step == std::string_view("Failed to bind socket");
    return system_error(
        named ? fmt::format("Failed to bind socket to {}", address.path) : socket.error().step,
        socket.error().error_number);
  }
  std::vector<UniqueFd> sockets;
  sockets.push_back(*std::move(socket));
  auto listener = std::make_unique<SocketListener>(std::move(sockets));
  listener->own_path(address.path);
  return listener;
}

Result<std::unique_ptr<Listener>> listen_vsock(const Vsock& vsock, int backlog) {
  GODWIT_ASSIGN(const auto address, vsock_address(vsock));
  auto socket = listen_on(address, false, backlog);
  if (!socket) return system_error(socket.error().step, socket.error().error_number);
  std::vector<UniqueFd> sockets;
  sockets.push_back(*std::move(socket));
  return std::make_unique<SocketListener>(std::move(sockets));
}

}  // namespace godwit::channel
