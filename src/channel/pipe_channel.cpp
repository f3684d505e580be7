#include "channel/pipe_channel.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>
#include <utility>

#include "base/fail.h"
#include "channel/descriptor_flags.h"
#include "channel/iovec_cursor.h"
#include "channel/sigpipe_guard.h"
#include "channel/wait.h"

namespace godwit::channel {
namespace {

/// The most that an unprivileged process may ask for by default. Refused for what is no pipe: no harm.
constexpr int pipe_bytes = 1024 * 1024;

std::unexpected<Error> was_shut_down() {
  return fail("The channel was shut down");
}

}  // namespace

PipeChannel::PipeChannel(Ends ends, std::string peer, std::string_view kind)
    : ends_(std::move(ends)),
      peer_(std::move(peer)),
      kind_(kind),
      has_both_(ends_.from_peer && ends_.to_peer) {
  if (ends_.from_peer) {
    reader_was_blocking_ = set_blocking(ends_.from_peer.get(), false);
    ::fcntl(ends_.from_peer.get(), F_SETPIPE_SZ, pipe_bytes);
  }
  if (ends_.to_peer) {
    writer_was_blocking_ = set_blocking(ends_.to_peer.get(), false);
    ::fcntl(ends_.to_peer.get(), F_SETPIPE_SZ, pipe_bytes);
  }
}

// The flag belongs to the open file, which other processes may share: a shell's terminal, for one.
PipeChannel::~PipeChannel() {
  close_both();
}

void PipeChannel::close_both() {
  if (ends_.from_peer && reader_was_blocking_) set_blocking(ends_.from_peer.get(), true);
  ends_.from_peer.reset();
  if (ends_.to_peer && writer_was_blocking_) set_blocking(ends_.to_peer.get(), true);
  ends_.to_peer.reset();
}

Result<> PipeChannel::write(std::span<const iovec> parts) {
  if (!ends_.to_peer) return fail("Unable to write to {}: it is not open for writing", kind());
  SigpipeGuard guard;
  IovecCursor rest(parts);
  while (!rest.done()) {
    if (is_shut_down()) return was_shut_down();
    const auto batch = rest.batch();
    const ssize_t count = ::writev(ends_.to_peer.get(), batch.data(), static_cast<int>(batch.size()));
    if (count >= 0) {
      rest.advance(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      pollfd entries[] = {{ends_.to_peer.get(), POLLOUT, 0}, {wake_.fd(), POLLIN, 0}};
      GODWIT_TRY(wait_for_any(entries));
    } else if (errno != EINTR) {
      const int error_number = errno;
      if (error_number == EPIPE) guard.raised();
      return system_error(fmt::format("Unable to write to {}", kind()), error_number);
    }
  }
  return {};
}

Result<std::size_t> PipeChannel::read(std::span<const iovec> parts) {
  if (!ends_.from_peer) return fail("Unable to read from {}: it is not open for reading", kind());
  is_read_.store(true, std::memory_order_relaxed);
  if (total_size(parts) == 0) return 0;
  const auto batch = parts.first(std::min<std::size_t>(parts.size(), IOV_MAX));
  for (;;) {
    if (is_shut_down()) return was_shut_down();
    const ssize_t count = ::readv(ends_.from_peer.get(), batch.data(), static_cast<int>(batch.size()));
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno == EAGAIN) {
      pollfd entries[] = {{ends_.from_peer.get(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}};
      GODWIT_TRY(wait_for_any(entries));
    } else if (errno != EINTR) {
      return system_error(fmt::format("Unable to read from {}", kind()), errno);
    }
  }
}

void PipeChannel::shutdown() noexcept {
  shut_down_.store(true, std::memory_order_relaxed);
  wake_.wake();
}

Result<> PipeChannel::finish_writing() {
  if (is_shut_down()) return was_shut_down();
  if (ends_.to_peer && writer_was_blocking_) set_blocking(ends_.to_peer.get(), true);
  ends_.to_peer.reset();
  return {};
}

Result<bool> PipeChannel::drop_some() {
  std::array<std::byte, 16384> dropped;
  for (;;) {
    const ssize_t count = ::read(ends_.from_peer.get(), dropped.data(), dropped.size());
    if (count >= 0) return count > 0;
    if (errno == EAGAIN) return true;
    if (errno != EINTR) return system_error(fmt::format("Unable to read from {}", kind()), errno);
  }
}

Result<bool> PipeChannel::wait_for_peer_close(std::chrono::milliseconds timeout) {
  if (!ends_.from_peer) return true;
  is_read_.store(true, std::memory_order_relaxed);
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    if (is_shut_down()) return was_shut_down();
    GODWIT_ASSIGN(const bool open, drop_some());
    if (!open) return true;
    pollfd entries[] = {{ends_.from_peer.get(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}};
    GODWIT_ASSIGN(const bool ready, wait_for_any(entries, deadline));
    if (!ready || std::chrono::steady_clock::now() >= deadline) return false;
  }
}

}  // namespace godwit::channel
