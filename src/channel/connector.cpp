#include "channel/connector.h"

#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <utility>

#include "base/fail.h"
#include "channel/command_channel.h"
#include "channel/open_channel.h"
#include "channel/resolver.h"
#include "channel/socket_address.h"
#include "channel/socket_channel.h"
#include "channel/wait.h"

namespace godwit::channel {
namespace {

std::unexpected<Error> was_cancelled() {
  return fail("The connection attempt was cancelled");
}

std::unexpected<Error> connect_failed(const std::string& where, int error_number) {
  return system_error(fmt::format("Failed to connect to '{}'", where), error_number);
}

/// Waits for a connect() that is under way. Returns the errno value it ended with, 0 for success.
Result<int> finish_connect(int socket, const Interrupt& interrupt) {
  pollfd entries[] = {{socket, POLLOUT, 0}, {interrupt.fd(), POLLIN, 0}};
  GODWIT_TRY(wait_for_any(entries));
  if (interrupt.interrupted()) return was_cancelled();
  int error_number = 0;
  socklen_t length = sizeof error_number;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error_number, &length) != 0) return errno;
  return error_number;
}

/// A port of the range that the kernel picks from may be connected to itself, when nobody listens there.
bool is_connected_to_itself(int socket) {
  sockaddr_storage here{};
  sockaddr_storage there{};
  socklen_t here_length = sizeof here;
  socklen_t there_length = sizeof there;
  return ::getsockname(socket, reinterpret_cast<sockaddr*>(&here), &here_length) == 0 &&
         ::getpeername(socket, reinterpret_cast<sockaddr*>(&there), &there_length) == 0 &&
         (here.ss_family == AF_INET || here.ss_family == AF_INET6) && here_length == there_length &&
         std::memcmp(&here, &there, here_length) == 0;
}

Result<UniqueFd> connect_to(const SocketAddress& address, const std::string& where,
                            const Interrupt& interrupt) {
  UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return system_error("Failed to create socket", errno);
  int error_number = ::connect(socket.get(), address.get(), address.length) == 0 ? 0 : errno;
  if (error_number == EINPROGRESS || error_number == EINTR) {
    GODWIT_ASSIGN(error_number, finish_connect(socket.get(), interrupt));
  }
  if (error_number == 0 && is_connected_to_itself(socket.get())) error_number = ECONNREFUSED;
  if (error_number != 0) return connect_failed(where, error_number);
  return socket;
}

Result<std::unique_ptr<Channel>> connect_tcp(const Tcp& tcp, const Interrupt& interrupt) {
  GODWIT_ASSIGN(const auto addresses, resolve(tcp, Purpose::connecting, &interrupt));
  const std::string where = tcp.host + ':' + tcp.port;
  Result<UniqueFd> socket = connect_failed(where, EHOSTUNREACH);
  for (const SocketAddress& address : addresses) {
    if (interrupt.interrupted()) return was_cancelled();
    socket = connect_to(address, where, interrupt);
    if (socket) break;
  }
  GODWIT_ASSIGN(auto connected, std::move(socket));
  if (tcp.keep_alive) {
    const int on = 1;
    if (::setsockopt(connected.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0)
      return system_error("Unable to set keep-alive option on socket", errno);
  }
  return std::make_unique<SocketChannel>(std::move(connected), "", SocketChannel::Origin::own);
}

/// A unix socket whose queue is full cannot be polled for room: a non-blocking connect() just fails. So the
/// kernel waits, and comes back now and then for a look at the interrupt.
Result<std::unique_ptr<Channel>> connect_unix(const Unix& unix_, const Interrupt& interrupt) {
  GODWIT_ASSIGN(const auto address, unix_address(unix_));
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return system_error("Failed to create Unix socket", errno);
  timeval patience{.tv_sec = 0, .tv_usec = 10'000};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  while (::connect(socket.get(), address.get(), address.length) != 0) {
    if (interrupt.interrupted()) return was_cancelled();
    if (errno != EAGAIN && errno != EINTR) return connect_failed(unix_.path, errno);
  }
  patience = {};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  return std::make_unique<SocketChannel>(std::move(socket), unix_.path, SocketChannel::Origin::own);
}

Result<std::unique_ptr<Channel>> connect_vsock(const Vsock& vsock, const Interrupt& interrupt) {
  GODWIT_ASSIGN(const auto address, vsock_address(vsock));
  GODWIT_ASSIGN(auto socket, connect_to(address, vsock.cid + ':' + vsock.port, interrupt));
  return std::make_unique<SocketChannel>(std::move(socket), "", SocketChannel::Origin::own);
}

struct Connector {
  DescriptorSource& descriptors;
  const Interrupt& interrupt;

  Result<std::unique_ptr<Channel>> operator()(const Tcp& tcp) const { return connect_tcp(tcp, interrupt); }
  Result<std::unique_ptr<Channel>> operator()(const Unix& unix_) const {
    return connect_unix(unix_, interrupt);
  }
  Result<std::unique_ptr<Channel>> operator()(const Vsock& vsock) const {
    return connect_vsock(vsock, interrupt);
  }
  Result<std::unique_ptr<Channel>> operator()(const Fd& fd) const {
    GODWIT_ASSIGN(auto descriptor, descriptors.take_named(fd.name));
    return open_descriptor(std::move(descriptor), fd.name, Direction::outgoing);
  }
  Result<std::unique_ptr<Channel>> operator()(const Exec& exec) const {
    return CommandChannel::start(exec.command);
  }
  Result<std::unique_ptr<Channel>> operator()(const File& file) const {
    return open_file(file, descriptors, Direction::outgoing);
  }
  Result<std::unique_ptr<Channel>> operator()(const Rdma&) const { return rdma_is_missing(); }
};

}  // namespace

Result<std::unique_ptr<Channel>> connect(const Address& address, DescriptorSource& descriptors,
                                         const Interrupt& interrupt) {
  if (interrupt.interrupted()) return was_cancelled();
  return std::visit(Connector{descriptors, interrupt}, address);
}

}  // namespace godwit::channel
