#include "channel/socket_address.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <linux/vm_sockets.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "base/fail.h"

namespace godwit::channel {
namespace {

// sockaddr_storage is made to be looked at as the address it holds.
template <typename T>
T& view_as(sockaddr_storage& storage) {
  return reinterpret_cast<T&>(storage);
}
template <typename T>
const T& view_as(const sockaddr_storage& storage) {
  return reinterpret_cast<const T&>(storage);
}

Result<std::uint32_t> parse_vsock_number(std::string_view what, std::string_view text) {
  std::uint32_t number = 0;
  const char* const start = text.data();
  const char* const end = start + text.size();
  const auto [stop, problem] = std::from_chars(start, end, number);
  if (problem != std::errc{} || stop != end) return fail("Failed to parse {} '{}'", what, text);
  return number;
}

std::string unix_path(const SocketAddress& address) {
  const auto& un = view_as<sockaddr_un>(address.storage);
  const std::size_t room =
      address.length - std::min<std::size_t>(address.length, offsetof(sockaddr_un, sun_path));
  return std::string(un.sun_path, ::strnlen(un.sun_path, room));
}

struct NumericName {
  std::string host;
  std::string port;
};

NumericName numeric_name(const SocketAddress& address) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (::getnameinfo(address.get(), address.length, host.data(), host.size(), port.data(), port.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return {};
  return {host.data(), port.data()};
}

SocketAddress local_address(int socket) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (::getsockname(socket, address.get(), &address.length) != 0) return {};
  return address;
}

}  // namespace

std::uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(view_as<sockaddr_in>(storage).sin_port);
  if (family() == AF_INET6) return ntohs(view_as<sockaddr_in6>(storage).sin6_port);
  return 0;
}

void SocketAddress::set_port(std::uint16_t port) {
  if (family() == AF_INET) view_as<sockaddr_in>(storage).sin_port = htons(port);
  if (family() == AF_INET6) view_as<sockaddr_in6>(storage).sin6_port = htons(port);
}

Result<SocketAddress> unix_address(const Unix& unix_) {
  SocketAddress address;
  auto& un = view_as<sockaddr_un>(address.storage);
  // Linux takes a path that fills the field, without a zero byte behind it.
  if (unix_.path.size() > sizeof un.sun_path) return fail("UNIX socket path '{}' is too long", unix_.path);
  un.sun_family = AF_UNIX;
  std::memcpy(un.sun_path, unix_.path.data(), unix_.path.size());
  address.length = static_cast<socklen_t>(
      std::min(offsetof(sockaddr_un, sun_path) + unix_.path.size() + 1, sizeof(sockaddr_un)));
  return address;
}

Result<SocketAddress> vsock_address(const Vsock& vsock) {
  SocketAddress address;
  auto& vm = view_as<sockaddr_vm>(address.storage);
  vm.svm_family = AF_VSOCK;
  GODWIT_ASSIGN(vm.svm_cid, parse_vsock_number("cid", vsock.cid));
  GODWIT_ASSIGN(vm.svm_port, parse_vsock_number("port", vsock.port));
  address.length = sizeof vm;
  return address;
}

int address_family(int socket) {
  return local_address(socket).family();
}

std::string peer_name(int socket) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (::getpeername(socket, address.get(), &address.length) != 0) return "unknown";
  switch (address.family()) {
    case AF_INET: {
      const auto name = numeric_name(address);
      return name.host + ':' + name.port;
    }
    case AF_INET6: {
      const auto name = numeric_name(address);
      return '[' + name.host + "]:" + name.port;
    }
    case AF_VSOCK: {
      const auto& vm = view_as<sockaddr_vm>(address.storage);
      return fmt::format("{}:{}", vm.svm_cid, vm.svm_port);
    }
    case AF_UNIX: {
      auto path = unix_path(address);
      return path.empty() ? "unix" : path;
    }
    default:
      return "unknown";
  }
}

ListeningAddress listening_address(int socket) {
  const SocketAddress address = local_address(socket);
  ListeningAddress listening;
  switch (address.family()) {
    case AF_UNIX:
      listening.type = ListeningAddress::Type::unix;
      listening.path = unix_path(address);
      break;
    case AF_VSOCK: {
      const auto& vm = view_as<sockaddr_vm>(address.storage);
      listening.type = ListeningAddress::Type::vsock;
      listening.cid = std::to_string(vm.svm_cid);
      listening.port = std::to_string(vm.svm_port);
      break;
    }
    default: {
      auto name = numeric_name(address);
      listening.host = std::move(name.host);
      listening.port = std::move(name.port);
      listening.ipv4 = address.family() == AF_INET;
      listening.ipv6 = address.family() == AF_INET6;
    }
  }
  return listening;
}

}  // namespace godwit::channel
