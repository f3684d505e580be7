// Waiting for descriptors with a deadline, so that neither a silent peer nor Ctrl-C leaves anything behind.
#pragma once

#include <chrono>
#include <span>
#include <string_view>

#include <godwit/clock.h>
#include <godwit/result.h>

#include "base/system.h"

namespace godwit::cli {

using Deadline = std::chrono::steady_clock::time_point;

/// The moment `from_now` after this one.
Deadline after(Milliseconds from_now);

/// The wish of the person at the terminal that the tool should end. Every wait looks at it, so that the tool
/// ends by returning through its callers, which takes processes, sockets and directories with it.
///
/// Thread contract: used by the main thread alone.
class StopRequest {
 public:
  /// Nobody can ask: for tests, and for what has to run to its end.
  StopRequest() = default;

  /// Takes SIGINT, SIGTERM and SIGHUP over from the default handling, for the life of the process, and turns
  /// SIGPIPE off.
  static Result<StopRequest> from_signals();

  /// Readable once a signal arrived; -1 without signals.
  int fd() const { return signals_.get(); }

  /// The number of the signal that arrived, 0 if none did.
  int signal() const { return signal_; }

  /// Takes the signal that made fd() readable. Always an error: "interrupted by SIGINT".
  std::unexpected<Error> taken() const;

 private:
  UniqueFd signals_;
  mutable int signal_ = 0;
};

/// Waits until one of `fds` is readable (or at its end), or the deadline has passed. True: one is readable.
/// Fails if `stop` was requested.
Result<bool> wait_readable(std::span<const int> fds, Deadline deadline, const StopRequest& stop);

/// The same for a descriptor that shall take bytes.
Result<bool> wait_writable(int fd, Deadline deadline, const StopRequest& stop);

/// Lets time pass, unless `stop` is requested.
Result<> pause_until(Deadline deadline, const StopRequest& stop);

}  // namespace godwit::cli
