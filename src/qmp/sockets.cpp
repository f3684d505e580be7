#include "qmp/sockets.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fail.h"

namespace godwit::qmp {
namespace {

constexpr int backlog = 16;

void set_nodelay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // fails on a unix socket, which has no delay
}

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail("UNIX socket path '{}' is too long\nPath must be less than {} bytes", path,
                sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<UniqueFd> unix_socket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return system_error("Failed to create Unix socket", errno);
  return fd;
}

struct FreeAddresses {
  void operator()(addrinfo* addresses) const { ::freeaddrinfo(addresses); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Result<Addresses> resolve(const TcpEndpoint& endpoint, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  const char* const host = endpoint.host.empty() ? nullptr : endpoint.host.c_str();
  const int error = ::getaddrinfo(host, endpoint.port.c_str(), &hints, &found);
  if (error != 0)
    return fail("address resolution failed for {}:{}: {}", endpoint.host, endpoint.port,
                ::gai_strerror(error));
  return Addresses(found);
}

/// Calls `use(fd, address)` for each address until it returns 0; the last errno is the error.
template <typename Use>
Result<UniqueFd> first_usable(const Addresses& addresses, std::string what, Use use) {
  int error = EADDRNOTAVAIL;
  for (const addrinfo* address = addresses.get(); address; address = address->ai_next) {
    UniqueFd fd(::socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol));
    if (fd && use(fd.get(), *address) == 0) return fd;
    error = errno;
  }
  return system_error(std::move(what), error);
}

int bind_and_listen(int fd, const addrinfo& address) {
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd, address.ai_addr, address.ai_addrlen) != 0) return -1;
  return ::listen(fd, backlog);
}

std::string bound_port(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  char port[NI_MAXSERV] = "?";
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0)
    ::getnameinfo(reinterpret_cast<sockaddr*>(&address), length, nullptr, 0, port, sizeof port,
                  NI_NUMERICSERV);
  return port;
}

void make_nonblocking(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/// A terminal or pipe is opened anew, because its non-blocking flag would be that of the shell that started
/// us. A file needs none, and would lose its position.
Result<UniqueFd> private_copy(int fd, int mode) {
  struct stat status{};
  if (::fstat(fd, &status) != 0)
    return system_error(fmt::format("cannot use standard descriptor {}", fd), errno);
  if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
    UniqueFd copy(
        ::open(fmt::format("/proc/self/fd/{}", fd).c_str(), mode | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    if (copy) return copy;
  }
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) return system_error(fmt::format("cannot duplicate standard descriptor {}", fd), errno);
  if (!S_ISREG(status.st_mode)) make_nonblocking(copy.get());
  return copy;
}

}  // namespace

SocketFile::~SocketFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<Listener> listen_on(const UnixEndpoint& endpoint) {
  GODWIT_ASSIGN(const sockaddr_un address, unix_address(endpoint.path));
  GODWIT_ASSIGN(UniqueFd fd, unix_socket());
  struct stat status{};
  if (::stat(endpoint.path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode))
    ::unlink(endpoint.path.c_str());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), backlog) != 0)
    return system_error(fmt::format("Failed to bind socket to {}", endpoint.path), errno);
  make_nonblocking(fd.get());
  return Listener{std::move(fd), SocketFile(endpoint.path), to_string(Endpoint(endpoint))};
}

Result<Listener> listen_on(const TcpEndpoint& endpoint) {
  GODWIT_ASSIGN(const Addresses addresses, resolve(endpoint, AI_PASSIVE));
  GODWIT_ASSIGN(UniqueFd fd, first_usable(addresses, "Failed to find an available port", bind_and_listen));
  make_nonblocking(fd.get());
  TcpEndpoint bound = endpoint;
  bound.port = bound_port(fd.get());
  return Listener{std::move(fd), SocketFile(), to_string(Endpoint(std::move(bound)))};
}

Result<UniqueFd> connect_to(const UnixEndpoint& endpoint) {
  GODWIT_ASSIGN(const sockaddr_un address, unix_address(endpoint.path));
  GODWIT_ASSIGN(UniqueFd fd, unix_socket());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return system_error(fmt::format("Failed to connect to '{}'", endpoint.path), errno);
  return fd;
}

Result<UniqueFd> connect_to(const TcpEndpoint& endpoint) {
  GODWIT_ASSIGN(const Addresses addresses, resolve(endpoint, 0));
  const auto connect = [](int fd, const addrinfo& address) {
    return ::connect(fd, address.ai_addr, address.ai_addrlen);
  };
  auto what = fmt::format("Failed to connect to '{}:{}'", endpoint.host, endpoint.port);
  GODWIT_ASSIGN(UniqueFd fd, first_usable(addresses, std::move(what), connect));
  set_nodelay(fd.get());
  return fd;
}

Result<Stream> open_stdio() {
  Stream stream;
  GODWIT_ASSIGN(stream.in, private_copy(STDIN_FILENO, O_RDONLY));
  GODWIT_ASSIGN(stream.out, private_copy(STDOUT_FILENO, O_WRONLY));
  return stream;
}

Result<UniqueFd> accept_client(int listener) {
  UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd) {
    set_nodelay(fd.get());
    return fd;
  }
  if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
    return system_error("cannot accept a monitor client", errno);
  return UniqueFd();  // the client has gone again, or was never there
}

}  // namespace godwit::qmp
