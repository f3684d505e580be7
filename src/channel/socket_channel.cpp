#include "channel/socket_channel.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <utility>

#include "base/fail.h"
#include "channel/descriptor_flags.h"
#include "channel/iovec_cursor.h"
#include "channel/socket_address.h"
#include "channel/wait.h"

namespace godwit::channel {
namespace {

/// The bytes in flight between two processes of one host, for the sender alone: the receiver has no buffer of
/// its own. Half of this costs as little processor time, four times as much a tenth more: the bytes leave the
/// cache meanwhile.
constexpr int unix_buffer_bytes = 1024 * 1024;

void enlarge_unix_buffer(int socket) {
  // Refused without CAP_NET_ADMIN; the polite way is cut to the system's limit. Either is only a wish.
  if (::setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &unix_buffer_bytes, sizeof unix_buffer_bytes) != 0)
    ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &unix_buffer_bytes, sizeof unix_buffer_bytes);
}

/// What may be on its way when somebody waits for the next bytes. For a unix socket the kernel takes twice
/// this, and calls the socket writable when a quarter of that is in use: 32 KiB.
constexpr int latency_buffer_bytes = 64 * 1024;
constexpr int latency_unsent_bytes = 64 * 1024;

void set_option(int socket, int level, int name, int value) {
  ::setsockopt(socket, level, name, &value, sizeof value);
}

bool is_tcp(int socket) {
  const auto family = address_family(socket);
  return family == AF_INET || family == AF_INET6;
}

/// How long a host may be out of reach, or take nothing, before its connection counts as broken.
constexpr std::chrono::milliseconds dead_host_patience{10'000};

/// A peer whose host has gone, or cannot be reached, does not acknowledge any more.
void notice_dead_host(int socket, std::chrono::milliseconds patience) {
  const auto whole_seconds = std::max<std::int64_t>(1, patience.count() / 1000);
  const int probes = 3;
  const int interval = static_cast<int>(std::max<std::int64_t>(1, whole_seconds / 5));
  set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, interval);
  set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, probes);
  set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE,
             static_cast<int>(std::max<std::int64_t>(1, whole_seconds - probes * interval)));
  // The kernel looks whether the time is over when it sends a probe: the last look is in time.
  const auto before_the_last_probe = std::max(patience / 2, patience - std::chrono::seconds(interval));
  set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(before_the_last_probe.count()));
}

void tune(int socket) {
  switch (address_family(socket)) {
    case AF_INET:
    case AF_INET6: {
      const int on = 1;  // the kernel sizes the buffers of tcp better than a fixed number does
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      notice_dead_host(socket, dead_host_patience);
      break;
    }
    case AF_UNIX:
      enlarge_unix_buffer(socket);
      break;
    default:
      break;
  }
}

}  // namespace

SocketChannel::SocketChannel(UniqueFd socket, std::string peer, Origin origin)
    : socket_(std::move(socket)), peer_(std::move(peer)), origin_(origin) {
  set_blocking(socket_.get(), true);
  tune(socket_.get());
  if (peer_.empty()) peer_ = peer_name(socket_.get());
}

// Where somebody else still holds the socket, close() alone would leave the peer waiting for the end. Where
// nobody does, close() alone says more: bytes that were never read make the peer see a broken connection, not
// an end.
SocketChannel::~SocketChannel() {
  if (origin_ == Origin::handed_over) ::shutdown(socket_.get(), SHUT_RDWR);
}

Result<> SocketChannel::write(std::span<const iovec> parts) {
  if (shut_down_.load(std::memory_order_relaxed)) return write_failed(EPIPE);
  IovecCursor rest(parts);
  while (!rest.done()) {
    const auto batch = rest.batch();
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(batch.data());
    message.msg_iovlen = batch.size();
    const ssize_t count = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (count >= 0) {
      rest.advance(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      // The patience is at its end, or a former owner of the socket made it non-blocking again.
      if (patience_.count() > 0) return write_failed(ETIMEDOUT);
      GODWIT_TRY(wait_ready(POLLOUT));
    } else if (errno != EINTR) {
      return write_failed(errno);
    }
  }
  return {};
}

Result<std::size_t> SocketChannel::read(std::span<const iovec> parts) {
  if (total_size(parts) == 0) return 0;
  for (;;) {
    if (shut_down_.load(std::memory_order_relaxed)) return read_failed(ECONNABORTED);
    const auto batch = parts.first(std::min<std::size_t>(parts.size(), IOV_MAX));
    const ssize_t count = ::readv(socket_.get(), batch.data(), static_cast<int>(batch.size()));
    if (count > 0) return static_cast<std::size_t>(count);
    if (count == 0) {
      if (shut_down_.load(std::memory_order_relaxed)) return read_failed(ECONNABORTED);
      return 0;
    }
    if (errno == EAGAIN) {
      if (patience_.count() > 0) return read_failed(ETIMEDOUT);
      GODWIT_TRY(wait_ready(POLLIN));
    } else if (errno != EINTR) {
      return read_failed(errno);
    }
  }
}

std::size_t SocketChannel::read_what_is_there(std::span<std::byte> into) {
  if (shut_down_.load(std::memory_order_relaxed)) return 0;
  const ssize_t count = ::recv(socket_.get(), into.data(), into.size(), MSG_DONTWAIT);
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

Result<> SocketChannel::write_zero_copy(std::span<const iovec> parts) {
  if (shut_down_.load(std::memory_order_relaxed)) return write_failed(EPIPE);
  if (!zero_copy_) zero_copy_.emplace(socket_.get(), shut_down_);
  if (const auto sent = zero_copy_->send(parts); !sent) return write_failed(sent.error());
  return {};
}

Result<bool> SocketChannel::finish_zero_copy() {
  if (!zero_copy_) return true;
  const auto finished = zero_copy_->finish();
  if (!finished) return std::unexpected(write_failed(finished.error()).error());
  return *finished;
}

void SocketChannel::shutdown() noexcept {
  shut_down_.store(true, std::memory_order_relaxed);
  ::shutdown(socket_.get(), SHUT_RDWR);
}

void SocketChannel::set_patience(std::chrono::milliseconds patience) {
  patience_ = patience;
  const timeval limit{.tv_sec = patience.count() / 1000, .tv_usec = patience.count() % 1000 * 1000};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (patience.count() > 0 && is_tcp(socket_.get())) notice_dead_host(socket_.get(), patience);
}

void SocketChannel::prefer_latency() {
  if (is_tcp(socket_.get()))
    set_option(socket_.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, latency_unsent_bytes);
  else
    set_option(socket_.get(), SOL_SOCKET, SO_SNDBUF, latency_buffer_bytes);
}

Result<> SocketChannel::finish_writing() {
  if (shut_down_.load(std::memory_order_relaxed)) return write_failed(EPIPE);
  if (::shutdown(socket_.get(), SHUT_WR) != 0)
    return system_error("Unable to close the sending half of a socket", errno);
  return {};
}

Result<bool> SocketChannel::wait_for_peer_close(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::array<std::byte, 16384> dropped;
  for (;;) {
    pollfd entry{socket_.get(), POLLIN, 0};
    GODWIT_ASSIGN(const bool ready, wait_for_any({&entry, 1}, deadline));
    if (!ready) return false;
    const ssize_t count = ::recv(socket_.get(), dropped.data(), dropped.size(), MSG_DONTWAIT);
    const int error_number = count < 0 ? errno : 0;
    if (count == 0 && !shut_down_.load(std::memory_order_relaxed)) return true;
    if (count <= 0 && error_number != EINTR && error_number != EAGAIN)
      return std::unexpected(read_failed(error_number).error());
    if (std::chrono::steady_clock::now() >= deadline) return false;  // a peer that never stops talking
  }
}

Result<> SocketChannel::write_failed(int error_number) {
  if (shut_down_.load(std::memory_order_relaxed)) return fail("The channel was shut down");
  return system_error("Unable to write to socket", error_number);
}

Result<std::size_t> SocketChannel::read_failed(int error_number) {
  if (shut_down_.load(std::memory_order_relaxed)) return fail("The channel was shut down");
  return system_error("Unable to read from socket", error_number);
}

Result<> SocketChannel::wait_ready(short events) {
  pollfd entry{socket_.get(), events, 0};
  GODWIT_TRY(wait_for_any({&entry, 1}));
  return {};
}

}  // namespace godwit::channel
