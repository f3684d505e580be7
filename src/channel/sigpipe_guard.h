// Writing to a pipe without a reader must be an error, not a signal.
#pragma once

#include <csignal>

namespace godwit::channel {

/// Keeps SIGPIPE away from the calling thread while it lives, whatever the process does with that signal, and
/// takes back one that was raised meanwhile. Costs two system calls. (Sockets have MSG_NOSIGNAL instead.)
class SigpipeGuard {
 public:
  SigpipeGuard() {
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    sigset_t pipe_only;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before_);
  }
  ~SigpipeGuard() {
    if (sigismember(&before_, SIGPIPE) == 1) return;  // stays pending, as the thread's owner wants it
    if (raised_ && !was_pending_) {
      sigset_t pipe_only;
      sigemptyset(&pipe_only);
      sigaddset(&pipe_only, SIGPIPE);
      const timespec no_wait{};
      sigtimedwait(&pipe_only, nullptr, &no_wait);
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeGuard(const SigpipeGuard&) = delete;
  SigpipeGuard& operator=(const SigpipeGuard&) = delete;

  /// To be called when a write failed with EPIPE.
  void raised() { raised_ = true; }

 private:
  sigset_t before_{};
  bool was_pending_ = false;
  bool raised_ = false;
};

}  // namespace godwit::channel
