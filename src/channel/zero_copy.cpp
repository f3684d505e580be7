#include "channel/zero_copy.h"

#include <cerrno>
#include <cstring>
#include <linux/errqueue.h>
#include <poll.h>
#include <sys/socket.h>

#include "channel/iovec_cursor.h"
#include "channel/wait.h"

namespace godwit::channel {
namespace {

bool enable(int socket) {
  const int on = 1;
  return ::setsockopt(socket, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) == 0;
}

}  // namespace

ZeroCopySender::ZeroCopySender(int socket, const std::atomic<bool>& shut_down)
    : socket_(socket), shut_down_(shut_down), possible_(enable(socket)) {}

std::expected<void, int> ZeroCopySender::send(std::span<const iovec> parts) {
  IovecCursor rest(parts);
  while (!rest.done()) {
    const auto batch = rest.batch();
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(batch.data());
    message.msg_iovlen = batch.size();
    const ssize_t count = ::sendmsg(socket_, &message, MSG_NOSIGNAL | (possible_ ? MSG_ZEROCOPY : 0));
    if (count >= 0) {
      rest.advance(static_cast<std::size_t>(count));
      if (possible_)
        ++calls_;
      else
        copied_ = true;
    } else if (errno == ENOBUFS && possible_) {
      // No more memory may be locked. What is done gives some back; if there is nothing to wait for, the
      // limit is too low for anything.
      if (done_ == calls_)
        possible_ = false;
      else if (const auto collected = collect(); !collected)
        return std::unexpected(collected.error());
      else if (!*collected)
        if (auto waited = wait(0); !waited) return waited;
    } else if (errno == EAGAIN) {
      if (auto waited = wait(POLLOUT); !waited) return waited;
    } else if (errno != EINTR) {
      return std::unexpected(errno);
    }
  }
  return {};
}

std::expected<bool, int> ZeroCopySender::finish() {
  while (done_ < calls_) {
    const auto collected = collect();
    if (!collected) return collected;
    if (*collected) continue;
    if (auto waited = wait(0); !waited) return std::unexpected(waited.error());
  }
  const bool clean = !copied_;
  copied_ = false;
  return clean;
}

/// Takes one notice of the kernel; false: there is none.
std::expected<bool, int> ZeroCopySender::collect() {
  char control[256];
  msghdr message{};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (::recvmsg(socket_, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
    return errno == EAGAIN || errno == EINTR ? std::expected<bool, int>(false) : std::unexpected(errno);
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    sock_extended_err notice;
    if (part->cmsg_len < CMSG_LEN(sizeof notice)) continue;
    std::memcpy(&notice, CMSG_DATA(part), sizeof notice);
    if (notice.ee_origin != SO_EE_ORIGIN_ZEROCOPY || notice.ee_errno != 0) continue;
    done_ += std::uint64_t{notice.ee_data - notice.ee_info} + 1;  // a range of calls, both ends included
    if (notice.ee_code & SO_EE_CODE_ZEROCOPY_COPIED) copied_ = true;
  }
  return true;
}

/// A notice shows as an error condition, which poll() always reports.
std::expected<void, int> ZeroCopySender::wait(short events) {
  pollfd entry{socket_, events, 0};
  if (shut_down_.load(std::memory_order_relaxed)) return std::unexpected(EPIPE);
  if (!wait_for_any({&entry, 1})) return std::unexpected(EIO);
  // The connection is gone: the kernel drops what it holds, and nobody needs it.
  if ((entry.revents & (POLLHUP | POLLNVAL)) && !(entry.revents & POLLERR)) return std::unexpected(EPIPE);
  return {};
}

}  // namespace godwit::channel
