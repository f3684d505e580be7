#include "channel/child_process.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "base/fail.h"
#include "channel/wait.h"

namespace godwit::channel {
namespace {

constexpr int kill_after_ms = 2000;

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

/// Moves a descriptor out of the range of the standard ones, which the child replaces.
Result<UniqueFd> above_standard(UniqueFd fd) {
  if (fd.get() > STDERR_FILENO) return fd;
  UniqueFd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!moved) return system_error("cannot duplicate a descriptor", errno);
  return moved;
}

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return system_error("cannot create a pipe", errno);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  Pipe pipe;
  GODWIT_ASSIGN(pipe.read_end, above_standard(std::move(read_end)));
  GODWIT_ASSIGN(pipe.write_end, above_standard(std::move(write_end)));
  return pipe;
}

/// What the child does between its creation and the shell.
class SpawnSetup {
 public:
  SpawnSetup(int standard_input, int standard_output) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_adddup2(&actions_, standard_input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, standard_output, STDOUT_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    posix_spawnattr_init(&attributes_);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    sigset_t signals;
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    posix_spawnattr_setpgroup(&attributes_, 0);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  /// Returns an errno value, 0 for success.
  int run(const std::string& command, pid_t& pid) const {
    const char* const arguments[] = {"sh", "-c", command.c_str(), nullptr};
    return ::posix_spawn(&pid, "/bin/sh", &actions_, &attributes_, const_cast<char* const*>(arguments),
                         environ);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

Result<ChildProcess::Spawned> ChildProcess::spawn(const std::string& command) {
  GODWIT_ASSIGN(auto input, make_pipe());
  GODWIT_ASSIGN(auto output, make_pipe());
  pid_t pid = -1;
  if (const int error_number = SpawnSetup(input.read_end.get(), output.write_end.get()).run(command, pid))
    return system_error("Failed to run /bin/sh", error_number);
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  const int error_number = errno;
  ChildProcess child(pid, std::move(pidfd));
  if (!child.pidfd_) return system_error("cannot watch a child process", error_number);
  return Spawned{std::move(child), std::move(input.write_end), std::move(output.read_end)};
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}

ChildProcess::~ChildProcess() {
  terminate(0);
}

Result<> ChildProcess::reap() {
  int status = 0;
  pid_t reaped;
  do {
    reaped = ::waitpid(pid_, &status, 0);
  } while (reaped < 0 && errno == EINTR);
  const int error_number = errno;
  pid_ = -1;
  if (reaped < 0) return system_error("cannot learn the exit status of the command", error_number);
  if (WIFSIGNALED(status)) return fail("the command was ended by signal {}", WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) return fail("the command exited with status {}", WEXITSTATUS(status));
  return {};
}

bool ChildProcess::ended_within(int milliseconds) noexcept {
  pollfd entry{pidfd_.get(), POLLIN, 0};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  return wait_for_any({&entry, 1}, deadline).value_or(false);
}

void ChildProcess::terminate(int grace_ms) noexcept {
  if (pid_ < 0) return;
  // Until it is reaped its number cannot belong to anybody else. Without a pidfd nothing can be waited for.
  if (!pidfd_ || !ended_within(grace_ms)) {
    ::kill(-pid_, SIGTERM);
    if (!pidfd_ || !ended_within(kill_after_ms)) ::kill(-pid_, SIGKILL);
  }
  [[maybe_unused]] const auto status = reap();  // nobody asks how it went
}

}  // namespace godwit::channel
