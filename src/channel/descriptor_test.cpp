// file: and fd: in all their forms.
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "channel/test_support.h"

namespace godwit::channel {
namespace {

class DescriptorTest : public ChannelTest {
 protected:
  Bytes content(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
  }
  void write_file(const std::string& file, const Bytes& bytes) {
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  Result<Bytes> receive(const std::string& uri, std::size_t at_most) {
    GODWIT_ASSIGN(auto listener, listen_on(uri));
    GODWIT_ASSIGN(auto channel, listener->accept());
    return read_randomly(*channel, at_most, 99);
  }
};

TEST_F(DescriptorTest, AFileKeepsWhatIsInFrontOfTheOffsetOnly) {
  const Bytes old = random_bytes(10'000, 1);
  const Bytes sent = random_bytes(3000, 2);
  write_file(path("f"), old);
  auto source = *connect_to("file:" + path("f") + ",offset=4096");
  EXPECT_EQ(source->kind(), "file");
  EXPECT_TRUE(source->seekable());
  EXPECT_FALSE(source->two_way());
  EXPECT_EQ(source->peer(), path("f"));
  ASSERT_TRUE(write_randomly(*source, sent, 3).has_value());
  ASSERT_TRUE(source->finish_writing().has_value());
  EXPECT_TRUE(source->wait_for_peer_close(std::chrono::seconds(1)).value());

  Bytes expected(old.begin(), old.begin() + 4096);
  expected.insert(expected.end(), sent.begin(), sent.end());
  EXPECT_TRUE(content(path("f")) == expected);
  EXPECT_TRUE(receive("file:" + path("f") + ",offset=4096", sent.size()).value() == sent);
}

TEST_F(DescriptorTest, ANewFileIsNobodyElsesBusiness) {
  ASSERT_TRUE((*connect_to("file:" + path("f")))->finish_writing().has_value());
  struct stat status{};
  ASSERT_EQ(::stat(path("f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(DescriptorTest, FilesRefuseClearly) {
  EXPECT_EQ(connect_error("file:/nonexistent/f"),
            "Could not create '/nonexistent/f': No such file or directory");
  EXPECT_EQ(connect_error("file:" + path("")), "Could not create '" + path("") + "': Is a directory");
  EXPECT_EQ(listen_error("file:" + path("")), "'" + path("") + "' is a directory, not a file");
  ASSERT_EQ(::mkfifo(path("p").c_str(), 0600), 0);
  EXPECT_EQ(listen_error("file:" + path("p")), "'" + path("p") + "' is a pipe, not a file");
}

TEST_F(DescriptorTest, AFullDiskIsAnError) {
  auto channel = *connect_to("file:/dev/full");
  EXPECT_EQ(channel->write(random_bytes(10, 4)).error().what(),
            "Unable to write to file: No space left on device");
}

TEST_F(DescriptorTest, AFileMayComeFromADescriptorSet) {
  const Bytes sent = random_bytes(1000, 5);
  descriptors_.sets["/dev/fdset/7"] = UniqueFd(::open(path("f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  auto source = *connect_to("file:/dev/fdset/7,offset=100");
  ASSERT_TRUE(source->write(sent).has_value());
  ASSERT_TRUE(source->finish_writing().has_value());
  EXPECT_EQ(content(path("f")).size(), 1100U);
  EXPECT_TRUE(receive("file:/dev/fdset/7,offset=100", sent.size()).value() == sent);
}

TEST_F(DescriptorTest, ShutdownEndsAFileToo) {
  auto channel = *connect_to("file:" + path("f"));
  channel->shutdown();
  EXPECT_EQ(channel->write(random_bytes(1, 6)).error().what(), "The channel was shut down");
  EXPECT_EQ(channel->finish_writing().error().what(), "The channel was shut down");
}

TEST_F(DescriptorTest, ANamedFileDescriptorGoesOnWhereItStands) {
  const Bytes sent = random_bytes(500, 7);
  descriptors_.named["f"] = UniqueFd(::open(path("f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::lseek(descriptors_.named["f"].get(), 20, SEEK_SET), 20);
  const UniqueFd kept = *descriptors_.named["f"].duplicate();
  auto channel = *connect_to("fd:f");
  EXPECT_TRUE(channel->seekable());
  ASSERT_TRUE(channel->write(sent).has_value());
  EXPECT_EQ(content(path("f")).size(), 520U);
  EXPECT_EQ(connect_error("fd:f"), "File descriptor named 'f' has not been found");  // taken
}

TEST_F(DescriptorTest, AnInheritedDescriptorIsTakenByNumber) {
  const Bytes sent = random_bytes(100, 8);
  write_file(path("f"), sent);
  const int number = ::open(path("f").c_str(), O_RDONLY);  // without O_CLOEXEC, as an inherited one
  EXPECT_TRUE(receive("fd:" + std::to_string(number), sent.size()).value() == sent);
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

TEST_F(DescriptorTest, ANumberThatWasNotInheritedIsOnlyNoticedWhenItIsUsed) {
  auto listener = *listen_on("fd:900");
  EXPECT_EQ(listener->accept().error().what(), "File descriptor 900 is not open");
  const UniqueFd own(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  auto other = *listen_on("fd:" + std::to_string(own.get()));
  EXPECT_EQ(other->accept().error().what(),
            "File descriptor " + std::to_string(own.get()) + " was not inherited");
  EXPECT_GE(::fcntl(own.get(), F_GETFD), 0);
  const int write_only = ::open("/dev/null", O_WRONLY);  // as an inherited one
  auto third = *listen_on("fd:" + std::to_string(write_only));
  EXPECT_EQ(third->accept().error().what(),
            "File descriptor '" + std::to_string(write_only) + "' is not open for reading");
}

TEST_F(DescriptorTest, StandardInputStaysInUse) {
  auto listener = *listen_on("fd:0");
  auto channel = listener->accept();
  EXPECT_GE(::fcntl(0, F_GETFD), 0);
}

TEST_F(DescriptorTest, AListeningSocketAccepts) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::listen(socket.get(), 4), 0);
  descriptors_.named["l"] = std::move(socket);
  auto listener = *listen_on("fd:l");
  EXPECT_TRUE(listener->multi_channel());
  ASSERT_EQ(listener->addresses().size(), 1U);
  const std::string uri = "tcp:127.0.0.1:" + listener->addresses().front().port;
  for (int i = 0; i < 2; ++i) {
    auto source = connect_to(uri);
    EXPECT_TRUE(listener->accept().has_value());
  }
}

TEST_F(DescriptorTest, UnsuitableDescriptorsAreRefused) {
  auto give = [this](int fd) { descriptors_.named["x"] = UniqueFd(fd); };
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  give(ends[0]);
  EXPECT_EQ(connect_error("fd:x"), "File descriptor 'x' is not open for writing");
  give(ends[1]);
  EXPECT_EQ(listen_error("fd:x"), "File descriptor 'x' is not open for reading");
  give(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(listen_error("fd:x"), "File descriptor 'x' is a directory");
  give(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect_error("fd:x"), "File descriptor 'x' is not a stream socket");
  give(::epoll_create1(EPOLL_CLOEXEC));
  EXPECT_EQ(connect_error("fd:x"), "File descriptor 'x' is of a kind that carries no stream");
}

TEST_F(DescriptorTest, ThePipesFlagsAreRestored) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  descriptors_.named["w"] = UniqueFd(ends[1]);
  const UniqueFd kept = *descriptors_.named["w"].duplicate();
  {
    auto channel = *connect_to("fd:w");
    EXPECT_NE(::fcntl(kept.get(), F_GETFL) & O_NONBLOCK, 0);
  }
  EXPECT_EQ(::fcntl(kept.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(DescriptorTest, AListenerOfOneChannelThenWaitsToBeClosed) {
  auto listener = *listen_on("file:/dev/null");
  ASSERT_TRUE(listener->accept().has_value());
  std::string error;
  BlockedCall call([&] { error = listener->accept().error().what(); });
  call.wait_until_asleep();
  listener->close();
  call.join();
  EXPECT_EQ(error, "The listener was closed");
}

}  // namespace
}  // namespace godwit::channel
