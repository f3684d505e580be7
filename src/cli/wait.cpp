#include "cli/wait.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <vector>

#include "base/fail.h"

namespace godwit::cli {
namespace {

int milliseconds_left(Deadline deadline) {
  const auto left = std::chrono::ceil<Milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

/// The last entry is the stop request.
Result<bool> wait_for_entries(std::span<pollfd> entries, Deadline deadline, const StopRequest& stop) {
  for (;;) {
    const int ready = ::poll(entries.data(), entries.size(), milliseconds_left(deadline));
    if (ready < 0 && errno != EINTR) return system_error("cannot wait", errno);
    if (ready > 0) {
      if (entries.back().revents != 0) return stop.taken();
      return true;
    }
    if (std::chrono::steady_clock::now() >= deadline) return false;
  }
}

}  // namespace

Deadline after(Milliseconds from_now) {
  return std::chrono::steady_clock::now() + from_now;
}

Result<StopRequest> StopRequest::from_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  if (::sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return system_error("cannot block signals", errno);
  ::signal(SIGPIPE, SIG_IGN);
  StopRequest request;
  request.signals_.reset(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!request.signals_) return system_error("cannot watch signals", errno);
  return request;
}

std::unexpected<Error> StopRequest::taken() const {
  signalfd_siginfo info{};
  if (::read(fd(), &info, sizeof info) == sizeof info) signal_ = static_cast<int>(info.ssi_signo);
  const char* name = ::sigabbrev_np(signal_);
  return godwit::fail("interrupted by SIG{}", name ? name : "?");
}

Result<bool> wait_readable(std::span<const int> fds, Deadline deadline, const StopRequest& stop) {
  std::vector<pollfd> entries;
  entries.reserve(fds.size() + 1);
  for (const int fd : fds) entries.push_back({fd, POLLIN, 0});
  entries.push_back({stop.fd(), POLLIN, 0});
  return wait_for_entries(entries, deadline, stop);
}

Result<bool> wait_writable(int fd, Deadline deadline, const StopRequest& stop) {
  pollfd entries[] = {{fd, POLLOUT, 0}, {stop.fd(), POLLIN, 0}};
  return wait_for_entries(entries, deadline, stop);
}

Result<> pause_until(Deadline deadline, const StopRequest& stop) {
  GODWIT_TRY(wait_readable({}, deadline, stop));
  return {};
}

}  // namespace godwit::cli
