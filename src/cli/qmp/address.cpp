#include "cli/qmp/address.h"

#include <cerrno>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/fail.h"
#include "cli/unix_socket.h"

namespace godwit::cli::qmp {
namespace {

constexpr const char* how_to_open_a_monitor =
    "start the virtual machine with -qmp unix:PATH,server=on,wait=off and name that PATH";

std::unexpected<Error> bad_address(std::string_view text, std::string_view why) {
  return godwit::fail(Error(fmt::format("'{}' is no address of a monitor: {}", text, why))
                          .advise("write PATH, unix:PATH, tcp:HOST:PORT or tcp:[IPV6]:PORT"));
}

Result<Address> parse_tcp(std::string_view text, std::string_view rest) {
  std::string_view host;
  if (rest.starts_with('[')) {
    const auto end = rest.find(']');
    if (end == rest.npos) return bad_address(text, "']' is missing");
    host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    if (!rest.starts_with(':')) return bad_address(text, "the port is missing");
    rest.remove_prefix(1);
  } else {
    const auto colon = rest.find(':');
    if (colon == rest.npos) return bad_address(text, "the port is missing");
    host = rest.substr(0, colon);
    rest.remove_prefix(colon + 1);
  }
  if (rest.empty() || rest.find_first_not_of("0123456789") != rest.npos || rest.size() > 5 ||
      std::stoul(std::string(rest)) > 65535)
    return bad_address(text, fmt::format("'{}' is not a port", rest));
  return TcpAddress{host.empty() ? "localhost" : std::string(host), std::string(rest)};
}

std::unexpected<Error> not_connected(const Address& address, std::string_view why, std::string next_step) {
  return godwit::fail(Error(fmt::format("cannot connect to the monitor at {}: {}", to_string(address), why))
                          .advise(std::move(next_step)));
}

Result<UniqueFd> connect_path(const UnixAddress& address) {
  errno = 0;
  auto fd = connect_unix(address.path);
  if (fd) return fd;
  const int error = errno;
  auto next_step = std::string(how_to_open_a_monitor);
  if (error == ECONNREFUSED) next_step = "nobody listens there any more: " + next_step;
  if (error == EACCES) next_step = "run godwit as the user who started the virtual machine";
  if (error == EAGAIN) next_step = "others wait for this monitor already: end them, or open a second monitor";
  return std::unexpected(std::move(fd).error().in("monitor").advise(next_step));
}

/// The outcome of one connection attempt as an errno value.
Result<int> attempt(int fd, const addrinfo& at, Deadline deadline, const StopRequest& stop) {
  if (::connect(fd, at.ai_addr, at.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  GODWIT_ASSIGN(const bool ready, wait_writable(fd, deadline, stop));
  if (!ready) return ETIMEDOUT;
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

Result<UniqueFd> connect_tcp(const TcpAddress& address, Deadline deadline, const StopRequest& stop) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &wanted, &found);
      error != 0)
    return not_connected(address, ::gai_strerror(error), "check the name of the host");
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, ::freeaddrinfo);
  int error = EADDRNOTAVAIL;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    UniqueFd fd(::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) {
      error = errno;
      continue;
    }
    GODWIT_ASSIGN(error, attempt(fd.get(), *at, deadline, stop));
    if (error != 0) continue;
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
  }
  return not_connected(
      address, errno_text(error),
      "check host and port; start the virtual machine with -qmp tcp:HOST:PORT,server=on,wait=off");
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
  if (text.starts_with("tcp:")) return parse_tcp(text, text.substr(4));
  const auto path = text.starts_with("unix:") ? text.substr(5) : text;
  if (path.empty()) return bad_address(text, "the path is empty");
  if (const auto comma = path.find(','); text.starts_with("unix:") && comma != path.npos)
    return bad_address(text, fmt::format("leave out '{}', which only the server needs", path.substr(comma)));
  return UnixAddress{std::string(path)};
}

std::string to_string(const Address& address) {
  if (const auto* unix_address = std::get_if<UnixAddress>(&address)) return "unix:" + unix_address->path;
  const auto& tcp = std::get<TcpAddress>(address);
  const bool brackets = tcp.host.find(':') != std::string::npos;
  return fmt::format("tcp:{}{}{}:{}", brackets ? "[" : "", tcp.host, brackets ? "]" : "", tcp.port);
}

Result<UniqueFd> connect(const Address& address, Deadline deadline, const StopRequest& stop) {
  if (const auto* unix_address = std::get_if<UnixAddress>(&address)) return connect_path(*unix_address);
  return connect_tcp(std::get<TcpAddress>(address), deadline, stop);
}

}  // namespace godwit::cli::qmp
