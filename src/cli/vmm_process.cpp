#include "cli/vmm_process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "base/fail.h"

namespace godwit::cli {
namespace {

constexpr std::streamoff most_last_words = 500;

/// What the child does until it becomes the VMM. Only calls that are safe after fork().
[[noreturn]] void become(const char* path, char* const* arguments, int input, int log, int failure,
                         pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the tool died before that took effect
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::dup2(input, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  ::execv(path, arguments);
  const int error_number = errno;
  [[maybe_unused]] const auto written = ::write(failure, &error_number, sizeof error_number);
  ::_exit(127);
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (const auto& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

}  // namespace

Result<std::string> find_program(const std::string& program) {
  if (program.find('/') != std::string::npos) {
    if (::access(program.c_str(), X_OK) != 0) return system_error("cannot run " + program, errno);
    return program;
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
  while (!rest.empty()) {
    const auto colon = std::min(rest.find(':'), rest.size());
    const auto candidate = std::string(rest.substr(0, colon)) + "/" + program;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return fail("there is no program '{}' in PATH", program);
}

Result<std::string> own_directory() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail("cannot find out where this program is: {}", error.message());
  return self.parent_path().string();
}

Result<VmmProcess> VmmProcess::start(const std::string& program, const std::vector<std::string>& arguments,
                                     const std::string& log) {
  GODWIT_ASSIGN(const auto path, find_program(program));
  UniqueFd input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  UniqueFd output(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!input || !output) return system_error("cannot open " + (input ? log : "/dev/null"), errno);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return system_error("cannot create a pipe", errno);
  UniqueFd failure_out(ends[0]);
  UniqueFd failure_in(ends[1]);

  std::vector<std::string> all{program};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const auto argv = pointers(all);
  const pid_t self = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return system_error("cannot start " + path, errno);
  if (pid == 0) become(path.c_str(), argv.data(), input.get(), output.get(), failure_in.get(), self);

  VmmProcess process(pid, UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))), log);
  if (!process.pidfd_) return system_error("cannot watch a process", errno);
  failure_in.reset();
  int error_number = 0;
  if (::read(failure_out.get(), &error_number, sizeof error_number) == sizeof error_number)
    return system_error("cannot run " + path, error_number);
  return process;
}

VmmProcess::VmmProcess(VmmProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      log_(std::move(other.log_)),
      status_(other.status_),
      asked_(other.asked_) {}

bool VmmProcess::reap(bool wait) noexcept {
  if (pid_ < 0 || status_) return true;
  int status = 0;
  pid_t reaped;
  do {
    reaped = ::waitpid(pid_, &status, wait ? 0 : WNOHANG);
  } while (reaped < 0 && errno == EINTR);
  if (reaped == pid_) status_ = status;
  return status_.has_value();
}

void VmmProcess::request_end() noexcept {
  if (std::exchange(asked_, true) || reap(false)) return;
  ::kill(pid_, SIGTERM);  // until it is reaped its number cannot belong to anybody else
}

void VmmProcess::end(Milliseconds grace) noexcept {
  request_end();
  if (reap(false)) return;
  const int fds[] = {pidfd_.get()};
  if (!wait_readable(fds, after(grace), StopRequest()).value_or(false)) ::kill(pid_, SIGKILL);
  reap(true);
}

std::optional<std::string> VmmProcess::how_it_ended() noexcept {
  if (!reap(false) || !status_) return std::nullopt;
  if (WIFSIGNALED(*status_)) return fmt::format("was ended by signal {}", WTERMSIG(*status_));
  return fmt::format("exited with status {}", WEXITSTATUS(*status_));
}

std::string VmmProcess::last_words() const {
  std::ifstream file(log_, std::ios::binary | std::ios::ate);
  if (!file) return {};
  const auto length = static_cast<std::streamoff>(file.tellg());
  file.seekg(std::max<std::streamoff>(0, length - most_last_words));
  std::string text{std::istreambuf_iterator<char>(file), {}};
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  std::string line;
  for (const char c : text) {
    if (c == '\n')
      line += " | ";
    else if (c != '\r')
      line += c;
  }
  return line;
}

}  // namespace godwit::cli
