#include <csignal>
#include <sys/wait.h>

#include "channel/test_support.h"

namespace godwit::channel {
namespace {

using ::testing::HasSubstr;

class CommandTest : public ChannelTest {
 protected:
  void TearDown() override {
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child was left behind";
    ChannelTest::TearDown();
  }

  /// Everything that the command prints.
  std::string output_of(const std::string& command) {
    auto channel = *(*listen_on("exec:" + command))->accept();
    std::string text;
    char buffer[4096];
    for (;;) {
      const auto got = channel->read(std::as_writable_bytes(std::span(buffer)));
      if (!got || *got == 0) break;
      text.append(buffer, *got);
    }
    return text;
  }
};

TEST_F(CommandTest, CarriesAStreamThroughAFile) {
  const Bytes sent = random_bytes(5 * mebibyte + 1, 1);
  auto source = *connect_to("exec:cat > " + path("f"));
  EXPECT_EQ(source->kind(), "command");
  EXPECT_TRUE(source->two_way());
  EXPECT_FALSE(source->multi_channel());
  EXPECT_EQ(source->peer(), "exec:cat > " + path("f"));
  ASSERT_TRUE(write_randomly(*source, sent, 2).has_value());
  const auto finished = source->finish_writing();
  ASSERT_TRUE(finished.has_value()) << finished.error().what();
  EXPECT_TRUE(source->finish_writing().has_value());  // nothing is left to do
  source.reset();

  auto listener = *listen_on("exec:cat " + path("f"));
  EXPECT_TRUE(listener->addresses().empty());
  EXPECT_FALSE(listener->multi_channel());
  auto destination = *listener->accept();
  EXPECT_TRUE(read_randomly(*destination, sent.size(), 3).value() == sent);
}

TEST_F(CommandTest, TalksBothWays) {
  auto channel = *connect_to("exec:cat");
  const Bytes sent = random_bytes(3 * mebibyte, 4);
  const auto writer = start_thread("writer", [&](const std::stop_token&) {
    EXPECT_TRUE(write_randomly(*channel, sent, 5).has_value());
    EXPECT_TRUE(channel->finish_writing().has_value());
  });
  EXPECT_TRUE(read_randomly(*channel, sent.size(), 6).value() == sent);
}

TEST_F(CommandTest, OutputThatNobodyReadsDoesNotBlockTheEnd) {
  // More than fits into the pipe is printed after the last byte was taken.
  auto channel = *connect_to("exec:cat > /dev/null; head -c 3000000 /dev/zero");
  ASSERT_TRUE(channel->write(random_bytes(1000, 7)).has_value());
  EXPECT_TRUE(channel->finish_writing().has_value());
}

TEST_F(CommandTest, ACommandThatEndsAtOnceBreaksThePipe) {
  for (const std::string uri : {"exec:", "exec:exit 3", "exec:false"}) {
    auto channel = *connect_to(uri);
    const Bytes bytes(4 * mebibyte);
    const auto written = channel->write(bytes);
    ASSERT_FALSE(written.has_value()) << uri;
    EXPECT_EQ(written.error().what(), "Unable to write to command: Broken pipe");
    EXPECT_EQ(written.error().advice().empty(), uri == "exec:");
  }
  auto channel = *connect_to("exec:exit 3");
  EXPECT_EQ(channel->write(Bytes(4 * mebibyte)).error().advice(),
            "the command exited with status 3; look at what it said on the standard error of this process");
}

TEST_F(CommandTest, TheExitStatusCounts) {
  auto finish = [&](const std::string& command) {
    auto channel = *connect_to("exec:" + command);
    EXPECT_TRUE(channel->write(random_bytes(10, 8)).has_value());
    const auto finished = channel->finish_writing();
    return finished ? std::string("no error") : finished.error().what();
  };
  EXPECT_EQ(finish("cat > /dev/null"), "no error");
  EXPECT_EQ(finish("cat > /dev/null; exit 3"), "the command exited with status 3");
  EXPECT_EQ(finish("cat > /dev/null; kill -9 $$"), "the command was ended by signal 9");
}

TEST_F(CommandTest, ACommandThatDoesNotExistSaysSoAtTheEnd) {
  auto channel = *connect_to("exec:exec 2>/dev/null; nosuchprogram-of-godwit");
  const auto finished = channel->finish_writing();
  ASSERT_FALSE(finished.has_value());
  EXPECT_EQ(finished.error().what(), "the command exited with status 127");
}

/// Forgets the value, keeps the error.
template <typename T>
Result<> outcome(const Result<T>& result) {
  if (!result) return std::unexpected(result.error());
  return {};
}

TEST_F(CommandTest, ShutdownWakesEveryCall) {
  const Bytes bytes(8 * mebibyte);
  Bytes one(1);
  const std::vector<std::function<Result<>(Channel&)>> calls = {
      [&](Channel& channel) { return channel.write(bytes); },
      [&](Channel& channel) { return outcome(channel.read(one)); },
      [](Channel& channel) { return channel.finish_writing(); },
      [](Channel& channel) { return outcome(channel.wait_for_peer_close(std::chrono::hours(1))); },
  };
  for (const auto& blocking : calls) {
    auto channel = *connect_to("exec:exec sleep 1000");
    std::string error;
    BlockedCall call([&] {
      const auto result = blocking(*channel);
      error = result ? "no error" : result.error().what();
    });
    call.wait_until_asleep();
    channel->shutdown();
    call.join();
    EXPECT_EQ(error, "The channel was shut down");
  }
}

TEST_F(CommandTest, DestroyingTheChannelEndsWhateverTheCommandStarted) {
  auto channel = *connect_to("exec:sleep 1000 & sleep 1000 & echo started; wait");
  char buffer[100];
  ASSERT_TRUE(channel->read(std::as_writable_bytes(std::span(buffer))).has_value());
  channel->shutdown();
  channel.reset();  // the test would run for 1000 s if the shell was waited for instead
}

TEST_F(CommandTest, TheChildHasDefaultSignalsAndNoOtherDescriptor) {
  ASSERT_NE(::signal(SIGPIPE, SIG_IGN), SIG_ERR);
  sigset_t blocked;
  sigset_t before;
  sigfillset(&blocked);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  const int inherited = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  const std::string status = output_of("grep ^Sig /proc/self/status");
  const std::string open_files = output_of("ls /proc/self/fd | tr '\\n' ' '");
  ::close(inherited);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_EQ(::signal(SIGPIPE, SIG_DFL), SIG_IGN);
  EXPECT_THAT(status, HasSubstr("SigBlk:\t0000000000000000"));
  ASSERT_THAT(status, HasSubstr("SigIgn:"));
  const auto ignored = std::stoull(status.substr(status.find("SigIgn:") + 8), nullptr, 16);
  EXPECT_EQ(ignored & 0x7fff'ffff, 0U) << status;  // 32 and 33 belong to the C library
  EXPECT_EQ(open_files, "0 1 2 3 ");               // 3 is the directory that ls reads
}

TEST_F(CommandTest, WorksWithStandardDescriptorsClosed) {
  const UniqueFd input(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  ::close(STDIN_FILENO);
  const std::string text = output_of("echo hello");
  ::dup2(input.get(), STDIN_FILENO);
  EXPECT_EQ(text, "hello\n");
}

TEST_F(CommandTest, WaitsForTheCommandToCloseItsOutput) {
  auto channel = *connect_to("exec:cat > /dev/null");
  EXPECT_FALSE(channel->wait_for_peer_close(std::chrono::milliseconds(1)).value());
  ASSERT_TRUE(channel->finish_writing().has_value());
  EXPECT_TRUE(channel->wait_for_peer_close(std::chrono::seconds(60)).value());
}

}  // namespace
}  // namespace godwit::channel
