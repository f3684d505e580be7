#include "cli/unix_socket.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include "base/fail.h"

namespace godwit::cli {
namespace {

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty()) return fail("the path of a UNIX socket is empty");
  if (path.size() >= sizeof address.sun_path)
    return fail("UNIX socket path '{}' is too long: {} bytes are allowed", path, sizeof address.sun_path - 1);
  path.copy(address.sun_path, path.size());
  return address;
}

Result<UniqueFd> new_socket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return system_error("cannot create a UNIX socket", errno);
  return fd;
}

/// One sendmsg; the number of bytes it took, 0 if it would have to wait.
Result<std::size_t> send_some(int fd, std::string_view bytes, int descriptor) {
  iovec vector{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  for (;;) {
    const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    if (errno != EINTR) return system_error("cannot send", errno);
  }
}

}  // namespace

Result<UnixListener> UnixListener::open(std::string path) {
  GODWIT_ASSIGN(const auto address, address_of(path));
  GODWIT_ASSIGN(auto fd, new_socket());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return system_error("cannot listen at " + path, errno);
  UnixListener listener(std::move(fd), std::move(path));
  if (::listen(listener.fd(), 1) != 0) return system_error("cannot listen at " + listener.path(), errno);
  return listener;
}

UnixListener::~UnixListener() {
  if (fd_) ::unlink(path_.c_str());
}

Result<UniqueFd> UnixListener::accept() {
  UniqueFd connection(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection) return system_error("cannot accept a connection at " + path_, errno);
  return connection;
}

Result<UniqueFd> connect_unix(const std::string& path) {
  GODWIT_ASSIGN(const auto address, address_of(path));
  GODWIT_ASSIGN(auto fd, new_socket());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return system_error("cannot connect to " + path, errno);
  return fd;
}

Result<> send_all(int fd, std::string_view bytes, int descriptor, Deadline deadline,
                  const StopRequest& stop) {
  while (!bytes.empty()) {
    GODWIT_ASSIGN(const std::size_t sent, send_some(fd, bytes, descriptor));
    bytes.remove_prefix(sent);
    if (sent > 0) {
      descriptor = -1;
      continue;
    }
    GODWIT_ASSIGN(const bool writable, wait_writable(fd, deadline, stop));
    if (!writable) return fail("the peer does not take what is sent to it");
  }
  return {};
}

Result<std::size_t> receive_some(int fd, std::span<char> buffer) {
  for (;;) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got == 0) return fail("the connection was closed");
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    if (errno != EINTR) return system_error("cannot receive", errno);
  }
}

}  // namespace godwit::cli
