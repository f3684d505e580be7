#include "channel/connector.h"

#include <netinet/in.h>

#include "channel/test_support.h"

namespace godwit::channel {
namespace {

using ConnectorTest = ChannelTest;

/// A port of this host on which nobody listens: bound, so that nobody else gets it, but not listening.
struct DeafPort {
  UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::string port;
  DeafPort() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    port = std::to_string(ntohs(address.sin_port));
  }
};

std::size_t count_threads() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) ++count;
  return count;
}

TEST_F(ConnectorTest, RefusesWithTheTextsOfThePeer) {
  const DeafPort deaf;
  EXPECT_EQ(connect_error("tcp:127.0.0.1:" + deaf.port),
            "Failed to connect to '127.0.0.1:" + deaf.port + "': Connection refused");
  EXPECT_EQ(connect_error("tcp:[::1]:" + deaf.port),
            "Failed to connect to '::1:" + deaf.port + "': Connection refused");
  EXPECT_EQ(connect_error("tcp:127.0.0.1:abc"),
            "address resolution failed for 127.0.0.1:abc: Servname not supported for ai_socktype");
  EXPECT_EQ(connect_error("tcp:nosuchhost.invalid:4444"),
            "address resolution failed for nosuchhost.invalid:4444: Name or service not known");
  EXPECT_EQ(connect_error("tcp::1"), "address resolution failed for :1: Name or service not known");
  EXPECT_EQ(connect_error("tcp:127.0.0.1:1,ipv4=off"),
            "address resolution failed for 127.0.0.1:1: Address family for hostname not supported");
  EXPECT_EQ(connect_error("tcp:127.0.0.1:1,ipv4=off,ipv6=off"), "Cannot disable IPv4 and IPv6 at same time");
  EXPECT_EQ(connect_error("unix:/nonexistent/sock"),
            "Failed to connect to '/nonexistent/sock': No such file or directory");
  const std::string long_path = "/" + std::string(130, 'x');
  EXPECT_EQ(connect_error("unix:" + long_path), "UNIX socket path '" + long_path + "' is too long");
  EXPECT_EQ(connect_error("vsock:1:2:3"), "Failed to parse port '2:3'");
  EXPECT_EQ(connect_error("vsock:x:1"), "Failed to parse cid 'x'");
  EXPECT_EQ(connect_error("vsock:4294967296:1"), "Failed to parse cid '4294967296'");
  EXPECT_EQ(connect_error("vsock:-1:1"), "Failed to parse cid '-1'");
  EXPECT_EQ(connect_error("fd:nosuchfd"), "File descriptor named 'nosuchfd' has not been found");
  EXPECT_EQ(connect_error("fd:99"), "File descriptor named '99' has not been found");
  EXPECT_EQ(connect_error("rdma:127.0.0.1:1"), "RDMA ERROR: this version has no rdma transport");
}

TEST_F(ConnectorTest, AFileInPlaceOfAUnixSocketRefuses) {
  std::ofstream(path("plain")) << "x";
  EXPECT_EQ(connect_error("unix:" + path("plain")),
            "Failed to connect to '" + path("plain") + "': Connection refused");
}

TEST_F(ConnectorTest, LooksUpNames) {
  auto listener = listen_on("tcp:127.0.0.1:0");
  ASSERT_TRUE(listener.has_value());
  const auto channel =
      connect_to("tcp:localhost:" + (*listener)->addresses().front().port + ",ipv4,keep-alive");
  ASSERT_TRUE(channel.has_value()) << channel.error().what();
  EXPECT_EQ((*channel)->peer(), "127.0.0.1:" + (*listener)->addresses().front().port);
}

TEST_F(ConnectorTest, TriesEveryAddressOfAName) {
  // localhost may be ::1 and 127.0.0.1; only the latter listens.
  auto listener = *listen_on("tcp:127.0.0.1:0");
  EXPECT_TRUE(connect_to("tcp:localhost:" + listener->addresses().front().port).has_value());
}

TEST_F(ConnectorTest, CancelEndsATcpConnectToABlackHole) {
  // Once the queue of a listener is full the kernel drops further attempts without a word.
  auto listener = *listen_on("tcp:127.0.0.1:0", 1);
  const std::string uri = uri_of(listener->addresses().front());
  std::vector<std::unique_ptr<Channel>> queued;
  for (;;) {
    Interrupt interrupt;
    Result<std::unique_ptr<Channel>> channel;
    std::atomic<bool> over{false};
    BlockedCall call([&] {
      channel = connect(parse_address(uri, Direction::outgoing).value(), descriptors_, interrupt);
      over = true;
    });
    call.wait_until_asleep();
    // A loopback connect that succeeds never sleeps for long; one into the full queue retries after a second.
    if (queued.size() < 2) {
      call.join();
      ASSERT_TRUE(channel.has_value());
      queued.push_back(*std::move(channel));
      continue;
    }
    EXPECT_FALSE(over);
    interrupt.interrupt();
    call.join();
    ASSERT_FALSE(channel.has_value());
    EXPECT_EQ(channel.error().what(), "The connection attempt was cancelled");
    break;
  }
}

TEST_F(ConnectorTest, CancelEndsAUnixConnectToAFullQueue) {
  auto listener = *listen_on("unix:" + path("s"), 1);
  std::vector<std::unique_ptr<Channel>> queued;
  queued.reserve(2);
  for (int i = 0; i < 2; ++i) queued.push_back(*connect_to("unix:" + path("s")));
  std::string error;
  BlockedCall call([&] { error = connect_error("unix:" + path("s")); });
  call.wait_until_asleep();
  interrupt_.interrupt();
  call.join();
  EXPECT_EQ(error, "The connection attempt was cancelled");
}

TEST_F(ConnectorTest, AUnixConnectToAFullQueueGoesOnWhenThereIsRoom) {
  auto listener = *listen_on("unix:" + path("s"), 1);
  std::vector<std::unique_ptr<Channel>> queued;
  queued.reserve(2);
  for (int i = 0; i < 2; ++i) queued.push_back(*connect_to("unix:" + path("s")));
  Result<std::unique_ptr<Channel>> channel;
  BlockedCall call([&] { channel = connect_to("unix:" + path("s")); });
  call.wait_until_asleep();
  ASSERT_TRUE(listener->accept().has_value());
  call.join();
  EXPECT_TRUE(channel.has_value());
}

TEST_F(ConnectorTest, AnInterruptedNameLookupReturnsAndLeavesNothingBehind) {
  const std::size_t threads_before = count_threads();
  for (int i = 0; i < 20; ++i) {
    Interrupt interrupt;
    Result<std::unique_ptr<Channel>> channel;
    BlockedCall call(
        [&] { channel = connect(Tcp{.host = "nosuchhost.invalid", .port = "1"}, descriptors_, interrupt); });
    interrupt.interrupt();
    call.join();
    ASSERT_FALSE(channel.has_value());
    EXPECT_THAT(
        channel.error().what(),
        ::testing::AnyOf("The connection attempt was cancelled",
                         "address resolution failed for nosuchhost.invalid:1: Name or service not known"));
  }
  // The next lookup joins what was given up, as soon as that has ended; its socket goes with it.
  do {
    EXPECT_FALSE(connect_to("tcp:nosuchhost.invalid:1").has_value());
  } while (count_threads() > threads_before || open_descriptors() > open_before_);
}

TEST_F(ConnectorTest, AnInterruptBeforeTheCallIsHonoured) {
  interrupt_.interrupt();
  EXPECT_EQ(connect_error("file:" + path("f")), "The connection attempt was cancelled");
  EXPECT_FALSE(std::filesystem::exists(path("f")));
}

}  // namespace
}  // namespace godwit::channel
