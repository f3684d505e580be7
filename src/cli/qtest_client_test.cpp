#include "cli/qtest_client.h"

#include <array>
#include <gmock/gmock.h>

#include "cli/testing/scripted_peer.h"

namespace godwit::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Stage = ScriptedPeer::Stage;

const StopRequest nobody_stops;

TEST(QtestClient, ReadsAndWritesMemory) {
  ScriptedPeer peer([](Stage& stage) {
    EXPECT_EQ(stage.line(), "read 0x9000 0x4\n");
    stage.send("OK 0x00");
    stage.send("ff7fAb\n");
    EXPECT_EQ(stage.line(), "write 0x9030 0x2 0x01fe\n");
    stage.send("OK\n");
    stage.line();
  });
  QtestClient client(peer.take_end(), nobody_stops);
  std::array<std::byte, 4> bytes{};
  ASSERT_TRUE(client.read(0x9000, bytes));
  EXPECT_THAT(bytes, ElementsAre(std::byte{0}, std::byte{0xff}, std::byte{0x7f}, std::byte{0xab}));
  const std::array out = {std::byte{1}, std::byte{0xfe}};
  EXPECT_TRUE(client.write(0x9030, out));
}

TEST(QtestClient, LargeReadsGoInPieces) {
  ScriptedPeer peer([](Stage& stage) {
    EXPECT_EQ(stage.line(), "read 0x1000000 0x40000\n");
    stage.send("OK 0x" + std::string(2 * 0x40000, '1') + "\n");
    EXPECT_EQ(stage.line(), "read 0x1040000 0x10\n");
    stage.send("OK 0x" + std::string(2 * 0x10, '2') + "\n");
    stage.line();
  });
  QtestClient client(peer.take_end(), nobody_stops);
  std::vector<std::byte> bytes(0x40010);
  ASSERT_TRUE(client.read(0x1000000, bytes));
  EXPECT_EQ(bytes[0x3ffff], std::byte{0x11});
  EXPECT_EQ(bytes[0x40000], std::byte{0x22});
}

struct BadAnswer {
  const char* name;
  std::string sends;
  const char* error;
};

class QtestClientWithBadPeer : public ::testing::TestWithParam<BadAnswer> {};

TEST_P(QtestClientWithBadPeer, IsAnError) {
  ScriptedPeer peer([](Stage& stage) {
    stage.line();
    stage.send(GetParam().sends);
  });
  QtestClient client(peer.take_end(), nobody_stops);
  std::array<std::byte, 2> bytes{};
  const auto read = client.read(0, bytes);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().what(), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    All, QtestClientWithBadPeer,
    ::testing::Values(BadAnswer{"closes", "", "closed"}, BadAnswer{"cut", "OK 0x12", "closed"},
                      BadAnswer{"refuses", "FAIL Unknown command 'read'\n", "Unknown command"},
                      BadAnswer{"too_short", "OK 0x12\n", "not that many"},
                      BadAnswer{"too_long", "OK 0x123456\n", "not that many"},
                      BadAnswer{"no_hex", "OK 0x12g4\n", "not that many"},
                      BadAnswer{"endless", std::string(3 << 20, '0'), "without an end"}),
    [](const auto& bad) { return bad.param.name; });

TEST(QtestClient, SilentPeerCostsNoMoreThanTheTimeout) {
  ScriptedPeer peer([](Stage& stage) {
    stage.line();
    stage.line();
  });
  QtestClient client(peer.take_end(), nobody_stops);
  client.set_timeout(Milliseconds(5));
  std::array<std::byte, 2> bytes{};
  const auto read = client.read(0, bytes);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().what(), "qtest: no answer");
}

}  // namespace
}  // namespace godwit::cli
