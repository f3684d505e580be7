#include "cli/vmm_process.h"

#include <csignal>
#include <fstream>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/temporary_directory.h"

namespace godwit::cli {
namespace {

using ::testing::HasSubstr;

class VmmProcessTest : public ::testing::Test {
 protected:
  VmmProcessTest() : directory_(*TemporaryDirectory::create()) {}

  Result<VmmProcess> shell(const std::string& script) {
    return VmmProcess::start("sh", {"-c", script}, directory_.file("log"));
  }

  static bool wait_until_ended(const VmmProcess& process) {
    const int fds[] = {process.ended_fd()};
    return wait_readable(fds, after(Milliseconds(10'000)), StopRequest()).value_or(false);
  }

  /// Waits until the script has created `name`.
  void wait_for_file(const std::string& name) {
    const Deadline deadline = after(Milliseconds(10'000));
    while (!std::ifstream(directory_.file(name)) && std::chrono::steady_clock::now() < deadline)
      sched_yield();
    ASSERT_TRUE(std::ifstream(directory_.file(name)));
  }

  TemporaryDirectory directory_;
};

TEST_F(VmmProcessTest, TellsHowItEndedAndWhatItSaidLast) {
  auto process = shell("echo first; echo no room >&2; exit 3");
  ASSERT_TRUE(process) << process.error().explain();
  ASSERT_TRUE(wait_until_ended(*process));
  EXPECT_EQ(process->how_it_ended(), "exited with status 3");
  EXPECT_FALSE(process->ended_well());
  EXPECT_EQ(process->last_words(), "first | no room");
}

TEST_F(VmmProcessTest, EndsByRequest) {
  auto process =
      shell("trap 'exit 0' TERM; : > " + directory_.file("ready") + "; while :; do sleep 0.01; done");
  ASSERT_TRUE(process);
  wait_for_file("ready");
  EXPECT_EQ(process->how_it_ended(), std::nullopt);
  process->end();
  EXPECT_TRUE(process->ended_well());
}

TEST_F(VmmProcessTest, EndsByForceWhatDoesNotListen) {
  auto process = shell("trap '' TERM; : > " + directory_.file("ready") + "; exec sleep 1000");
  ASSERT_TRUE(process);
  wait_for_file("ready");
  process->end(Milliseconds(1));
  EXPECT_EQ(process->how_it_ended(), "was ended by signal 9");
}

TEST_F(VmmProcessTest, HasNoneOfOurDescriptorsAndNoInput) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);  // not close-on-exec: only the start keeps it from the child
  const UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  ASSERT_LT(ends[1], 100);
  auto process = shell(
      "n=3; while [ $n -lt 100 ]; do [ -e /proc/$$/fd/$n ] && echo has $n; n=$((n + 1)); done; cat; echo "
      "end");
  ASSERT_TRUE(process);
  ASSERT_TRUE(wait_until_ended(*process));
  EXPECT_EQ(process->last_words(), "end");
}

TEST_F(VmmProcessTest, ProgramThatIsNotThereIsAnError) {
  const auto by_path = VmmProcess::start("/no/such/vmm", {}, directory_.file("log"));
  ASSERT_FALSE(by_path);
  EXPECT_EQ(by_path.error().what(), "cannot run /no/such/vmm: No such file or directory");
  const auto by_name = VmmProcess::start("no-such-vmm", {}, directory_.file("log"));
  ASSERT_FALSE(by_name);
  EXPECT_EQ(by_name.error().what(), "there is no program 'no-such-vmm' in PATH");
}

TEST_F(VmmProcessTest, FileThatCannotBeExecutedIsAnError) {
  const auto path = directory_.file("vmm");
  std::ofstream(path) << "\x7f"
                         "ELF, but not really";
  ASSERT_EQ(::chmod(path.c_str(), 0700), 0);
  const auto process = VmmProcess::start(path, {}, directory_.file("log"));
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().what(), "cannot run " + path + ": Exec format error");
}

TEST_F(VmmProcessTest, DoesNotOutliveItsParentThatIsKilled) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t parent = ::fork();
  if (parent == 0) {
    auto child = VmmProcess::start("sleep", {"1000"}, directory_.file("log"));
    const pid_t pid = child ? child->pid() : -1;
    [[maybe_unused]] const auto written = ::write(write_end.get(), &pid, sizeof pid);
    for (;;) ::pause();
  }
  pid_t child = -1;
  ASSERT_EQ(::read(read_end.get(), &child, sizeof child), static_cast<ssize_t>(sizeof child));
  ASSERT_GT(child, 0);
  const UniqueFd watched(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  ASSERT_TRUE(watched);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  pollfd entry{watched.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&entry, 1, 10'000), 1) << "the child is still there";
}

TEST(TemporaryDirectory, GoesWithAllThatIsInIt) {
  std::string path;
  {
    const auto directory = TemporaryDirectory::create();
    ASSERT_TRUE(directory);
    path = directory->path();
    std::ofstream(directory->file("left")) << "something";
    EXPECT_EQ(::access(path.c_str(), F_OK), 0);
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST(StopRequest, EndsAWaitAndNamesTheSignal) {
  sigset_t before;
  ASSERT_EQ(::sigprocmask(SIG_SETMASK, nullptr, &before), 0);
  const auto stop = StopRequest::from_signals();
  ASSERT_TRUE(stop);
  ::kill(::getpid(), SIGTERM);
  const auto waited = pause_until(after(Milliseconds(10'000)), *stop);
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().what(), "interrupted by SIGTERM");
  EXPECT_EQ(stop->signal(), SIGTERM);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace
}  // namespace godwit::cli
