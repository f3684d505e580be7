// A VMM as a child process. It never outlives the tool: not when the tool fails, is interrupted, or is
// killed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "cli/wait.h"

namespace godwit::cli {

class VmmProcess {
 public:
  /// Starts `program` (a path, or a name to look for in PATH) without standard input, in a process group of
  /// its own (so that Ctrl-C reaches it only through the tool), its standard output and error in the file
  /// `log`.
  static Result<VmmProcess> start(const std::string& program, const std::vector<std::string>& arguments,
                                  const std::string& log);

  VmmProcess(VmmProcess&& other) noexcept;
  VmmProcess& operator=(VmmProcess&&) = delete;
  ~VmmProcess() { end(); }

  pid_t pid() const { return pid_; }

  /// Readable once the process has ended.
  int ended_fd() const { return pidfd_.get(); }

  /// Asks it to end (SIGTERM), without waiting. Only a request, and only the first one does anything.
  void request_end() noexcept;

  /// Ends it, by force (SIGKILL) if it does not go within `grace`, and waits for it.
  void end(Milliseconds grace = Milliseconds(5000)) noexcept;

  /// How it ended, if it has: "exited with status 1", "was ended by signal 6".
  std::optional<std::string> how_it_ended() noexcept;

  /// Whether it exited with status 0. False while it runs.
  bool ended_well() const { return status_ == 0; }

  /// The last of what it wrote to standard output and error, on one line.
  std::string last_words() const;

 private:
  VmmProcess(pid_t pid, UniqueFd pidfd, std::string log)
      : pid_(pid), pidfd_(std::move(pidfd)), log_(std::move(log)) {}
  bool reap(bool wait) noexcept;

  pid_t pid_;
  UniqueFd pidfd_;
  std::string log_;
  std::optional<int> status_;  // as waitpid() gives it, once reaped
  bool asked_ = false;
};

/// The path of a program: as it is if it has a slash, else from PATH.
Result<std::string> find_program(const std::string& program);

/// The directory of the running executable.
Result<std::string> own_directory();

}  // namespace godwit::cli
