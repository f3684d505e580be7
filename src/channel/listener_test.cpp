#include "channel/listener.h"

#include <netinet/in.h>
#include <sys/stat.h>

#include "base/testing/not_tested_here.h"
#include "channel/test_support.h"

namespace godwit::channel {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

using ListenerTest = ChannelTest;

TEST_F(ListenerTest, ReportsTheRealPort) {
  auto listener = *listen_on("tcp:127.0.0.1:0");
  const auto addresses = listener->addresses();
  ASSERT_THAT(addresses, SizeIs(1));
  const auto& address = addresses.front();
  EXPECT_EQ(address.type, ListeningAddress::Type::inet);
  EXPECT_EQ(address.host, "127.0.0.1");
  EXPECT_NE(address.port, "0");
  EXPECT_TRUE(address.ipv4);
  EXPECT_FALSE(address.ipv6);
  EXPECT_TRUE(listener->multi_channel());
}

TEST_F(ListenerTest, ListensOnBothFamiliesNewestFirst) {
  auto listener = *listen_on("tcp::0");
  const auto addresses = listener->addresses();
  ASSERT_THAT(addresses, SizeIs(2));
  EXPECT_EQ(addresses[0].host, "::");
  EXPECT_TRUE(addresses[0].ipv6);
  EXPECT_EQ(addresses[1].host, "0.0.0.0");
  EXPECT_TRUE(addresses[1].ipv4);
  for (const std::string& uri : {"tcp:127.0.0.1:" + addresses[1].port, "tcp:[::1]:" + addresses[0].port}) {
    auto source = connect_to(uri);
    auto destination = listener->accept();
    ASSERT_TRUE(source && destination) << uri;
    ASSERT_TRUE((*source)->write(random_bytes(1, 1)).has_value());
    Bytes byte(1);
    EXPECT_EQ((*destination)->read(byte).value(), 1U);
  }
}

TEST_F(ListenerTest, FamiliesCanBeChosen) {
  struct Case {
    std::string options;
    std::string host;
  };
  for (const auto& [options, host] : {Case{"ipv4", "0.0.0.0"},
                                      {"ipv6", "::"},
                                      {"ipv6=off", "0.0.0.0"},
                                      {"ipv4=off", "::"},
                                      {"ipv4=on,ipv6=on", "::"}}) {
    auto listener = *listen_on("tcp::0," + options);
    ASSERT_THAT(listener->addresses(), SizeIs(1)) << options;
    EXPECT_EQ(listener->addresses().front().host, host) << options;
  }
  // Both asked for: one socket that takes IPv4 as well.
  auto listener = *listen_on("tcp::0,ipv4,ipv6");
  auto source = connect_to("tcp:127.0.0.1:" + listener->addresses().front().port);
  EXPECT_TRUE(source.has_value());
}

TEST_F(ListenerTest, RefusesWithTheTextsOfThePeer) {
  auto taken = *listen_on("tcp:127.0.0.1:0");
  const std::string port = taken->addresses().front().port;
  EXPECT_EQ(listen_error("tcp:127.0.0.1:" + port),
            "Failed to find an available port: Address already in use");
  EXPECT_EQ(listen_error("tcp:127.0.0.1:" + port + ",to=" + port),
            "Failed to find an available port: Address already in use");
  EXPECT_EQ(listen_error("tcp:127.0.0.1:5600,to=5500"), "the port range 5600 to 5500 is empty");
  EXPECT_EQ(listen_error("tcp:192.0.2.1:4000"), "Failed to bind socket: Cannot assign requested address");
  EXPECT_EQ(listen_error("tcp:nosuchhost.invalid:1"),
            "address resolution failed for nosuchhost.invalid:1: Name or service not known");
  EXPECT_EQ(listen_error("tcp:127.0.0.1:abc"),
            "address resolution failed for 127.0.0.1:abc: Servname not supported for ai_socktype");
  EXPECT_EQ(listen_error("tcp:127.0.0.1:0,ipv4=off"),
            "address resolution failed for 127.0.0.1:0: Address family for hostname not supported");
  EXPECT_EQ(listen_error("tcp::0,ipv4=off,ipv6=off"), "Cannot disable IPv4 and IPv6 at same time");
  EXPECT_EQ(listen_error("unix:/nonexistent/d/s"),
            "Failed to bind socket to /nonexistent/d/s: No such file or directory");
  EXPECT_EQ(listen_error("unix:" + path("")), "Failed to unlink socket " + path("") + ": Is a directory");
  EXPECT_EQ(listen_error("unix:/" + std::string(108, 'x')),
            "UNIX socket path '/" + std::string(108, 'x') + "' is too long");
  EXPECT_EQ(listen_error("vsock:x:1"), "Failed to parse cid 'x'");
  EXPECT_EQ(listen_error("fd:nosuch"), "File descriptor named 'nosuch' has not been found");
  EXPECT_EQ(listen_error("fd:-1"), "File descriptor named '-1' has not been found");
  EXPECT_EQ(listen_error("fd:12x"), "Invalid file descriptor number '12x'");
  EXPECT_EQ(listen_error("fd:99999999999"), "Invalid file descriptor number '99999999999'");
  EXPECT_EQ(listen_error("file:/nonexistent/f"),
            "Could not open '/nonexistent/f': No such file or directory");
  EXPECT_EQ(listen_error("rdma:127.0.0.1:1"), "RDMA ERROR: this version has no rdma transport");
}

TEST_F(ListenerTest, TriesTheNextPortOfARange) {
  auto taken = *listen_on("tcp:127.0.0.1:0");
  const int port = std::stoi(taken->addresses().front().port);
  if (port > 65000) NOT_TESTED_HERE() << "no room for a range behind port " << port;
  auto listener = *listen_on("tcp:127.0.0.1:" + std::to_string(port) + ",to=" + std::to_string(port + 500));
  const int found = std::stoi(listener->addresses().front().port);
  EXPECT_GT(found, port);
  EXPECT_LE(found, port + 500);
}

TEST_F(ListenerTest, AUnixPathIsReplacedAndRemoved) {
  std::ofstream(path("s")) << "left behind";
  auto listener = *listen_on("unix:" + path("s"));
  const ListeningAddress expected{.type = ListeningAddress::Type::unix, .path = path("s")};
  EXPECT_THAT(listener->addresses(), ::testing::ElementsAre(expected));
  EXPECT_TRUE(connect_to("unix:" + path("s")).has_value());
  listener->close();
  EXPECT_THAT(listener->addresses(), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(path("s")));
}

TEST_F(ListenerTest, AUnixPathThatSomebodyElseTookOverStays) {
  auto first = *listen_on("unix:" + path("s"));
  auto second = *listen_on("unix:" + path("s"));
  first->close();
  EXPECT_TRUE(connect_to("unix:" + path("s")).has_value());
}

TEST_F(ListenerTest, AcceptsAUnixPathThatFillsItsField) {
  const std::string long_path = path(std::string(108 - path("").size(), 'y'));
  ASSERT_EQ(long_path.size(), 108U);
  auto listener = listen_on("unix:" + long_path);
  ASSERT_TRUE(listener.has_value()) << listener.error().what();
  EXPECT_EQ((*listener)->addresses().front().path, long_path);
  EXPECT_TRUE(connect_to("unix:" + long_path).has_value());
}

TEST_F(ListenerTest, CloseWakesAcceptAndFreesThePort) {
  for (const std::string& uri : {std::string("tcp::0"), "unix:" + path("s")}) {
    auto listener = *listen_on(uri);
    const auto address = listener->addresses().front();
    std::string error;
    BlockedCall call([&] { error = listener->accept().error().what(); });
    call.wait_until_asleep();
    listener->close();
    EXPECT_FALSE(connect_to(uri_of(address)).has_value());
    call.join();
    EXPECT_EQ(error, "The listener was closed");
    EXPECT_EQ(listener->accept().error().what(), "The listener was closed");
    listener->close();
  }
}

TEST_F(ListenerTest, AcceptsMany) {
  auto listener = *listen_on("tcp:127.0.0.1:0", 64);
  const std::string uri = uri_of(listener->addresses().front());
  std::vector<std::unique_ptr<Channel>> sources;
  sources.reserve(40);
  for (int i = 0; i < 40; ++i) sources.push_back(*connect_to(uri));
  for (int i = 0; i < 40; ++i) EXPECT_TRUE(listener->accept().has_value());
}

TEST_F(ListenerTest, AVsockListenerReportsItsAddress) {
  const UniqueFd probe(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe) NOT_TESTED_HERE() << "this kernel has no vsock";
  auto listener = listen_on("vsock:4294967295:4294967295");  // any cid, any port
  ASSERT_TRUE(listener.has_value()) << listener.error().what();
  const auto address = (*listener)->addresses().front();
  EXPECT_EQ(address.type, ListeningAddress::Type::vsock);
  EXPECT_EQ(address.cid, "4294967295");
  EXPECT_NE(address.port, "4294967295");
}

}  // namespace
}  // namespace godwit::channel
