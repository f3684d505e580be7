// A shell command whose standard input and output are ours.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

#include <godwit/result.h>

#include "base/system.h"

namespace godwit::channel {

/// Owns a child process. It is always waited for: the destructor ends one that still runs.
class ChildProcess {
 public:
  struct Spawned;

  /// Runs `/bin/sh -c command` in a process group of its own, with every signal at its default, and with no
  /// other descriptor of ours than these: the read end of a pipe as standard input, the write end of another
  /// as standard output, and our standard error.
  static Result<Spawned> spawn(const std::string& command);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();

  /// Readable once the child has ended.
  int ended_fd() const { return pidfd_.get(); }

  /// Takes the exit status of a child that has ended. An error names any other status than 0.
  Result<> reap();

  /// Waits for its end, for so long at most.
  bool ended_within(int milliseconds) noexcept;

  /// Ends it and all it has started: nothing for `grace_ms`, then SIGTERM, and SIGKILL two seconds later.
  void terminate(int grace_ms) noexcept;

 private:
  ChildProcess(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  pid_t pid_ = -1;  // -1 once reaped
  UniqueFd pidfd_;
};

struct ChildProcess::Spawned {
  ChildProcess child;
  UniqueFd to_child;    ///< its standard input
  UniqueFd from_child;  ///< its standard output
};

}  // namespace godwit::channel
