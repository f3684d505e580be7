#include "cli/qmp_client.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "cli/testing/scripted_peer.h"

namespace godwit::cli {
namespace {

namespace command = schema::command;
using ::testing::HasSubstr;
using Stage = ScriptedPeer::Stage;

const std::string greeting =
    R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob"]}})"
    "\r\n";

void greet(Stage& stage) {
  stage.send(greeting);
  stage.line();
  stage.send("{\"return\": {}, \"id\": 1}\r\n");
}

const StopRequest nobody_stops;

Result<QmpClient> open(ScriptedPeer& peer) {
  return QmpClient::open(peer.take_end(), after(Milliseconds(10'000)), nobody_stops);
}

TEST(QmpClient, NegotiatesAndKnowsTheVersion) {
  ScriptedPeer peer([](Stage& stage) {
    for (const char c : greeting) stage.send(std::string(1, c));  // in the smallest of pieces
    EXPECT_EQ(stage.line(), "{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
    stage.send("{\"return\": {}, \"id\": 1}\r\n");
    stage.line();
  });
  const auto client = open(peer);
  ASSERT_TRUE(client) << client.error().explain();
  EXPECT_EQ(client->version(), "7.2.22 (Debian)");
}

TEST(QmpClient, AsksForOutOfBandWhereItIsOffered) {
  for (const bool offered : {true, false}) {
    ScriptedPeer peer([offered](Stage& stage) {
      stage.send(R"({"QMP": {"version": {}, "capabilities": [)" + std::string(offered ? "\"oob\"" : "") +
                 "]}}\r\n");
      const auto request = stage.line();
      EXPECT_EQ(request.find("oob") != request.npos, offered) << request;
      stage.send("{\"return\": {}, \"id\": 1}\r\n");
      EXPECT_EQ(stage.line(), "{\"exec-oob\":\"x\",\"id\":2}\n");
      stage.send("{\"return\": 5, \"id\": 2}\r\n");
      stage.line();
    });
    auto client =
        QmpClient::open(peer.take_end(), after(Milliseconds(10'000)), nobody_stops, OutOfBand::if_offered);
    ASSERT_TRUE(client) << client.error().explain();
    EXPECT_EQ(client->send({{"exec-oob", "x"}, {"id", "theirs"}}), 2);
    const int fds[] = {client->fd()};
    ASSERT_TRUE(wait_readable(fds, after(Milliseconds(10'000)), nobody_stops).value_or(false));
    ASSERT_TRUE(client->receive());
    const auto answers = client->take_answers();
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].at("return"), 5);
  }
}

TEST(QmpClient, ReadsAnAnswerAndKeepsTheEventsAroundIt) {
  ScriptedPeer peer([](Stage& stage) {
    greet(stage);
    EXPECT_EQ(stage.line(), "{\"execute\":\"query-status\",\"id\":2}\n");
    stage.send(
        R"({"timestamp": {"seconds": 5, "microseconds": 250000}, "event": "STOP"})"
        "\r\n"
        R"({"return": {"status": "paused", "running": false, "singlestep": false, "new-in-12": 1}, "id": 2})"
        "\r\n"
        R"({"timestamp": {"seconds": 6, "microseconds": 7}, "event": "MIGRATION_PASS", "data": {"pass": 3}})"
        "\r\n");
    stage.line();
  });
  auto client = open(peer);
  ASSERT_TRUE(client) << client.error().explain();
  const auto state = client->execute<command::query_status>();
  ASSERT_TRUE(state) << state.error().explain();
  EXPECT_EQ(state->status, schema::RunState::paused);

  std::vector<QmpEvent> events;
  for (;;) {
    for (auto& event : client->take_events()) events.push_back(std::move(event));
    if (events.size() == 2) break;
    const int fds[] = {client->fd()};
    ASSERT_TRUE(wait_readable(fds, after(Milliseconds(10'000)), nobody_stops).value_or(false));
    ASSERT_TRUE(client->receive());
  }
  EXPECT_EQ(events[0].name, "STOP");
  EXPECT_EQ(events[0].time, std::chrono::microseconds(5'250'000));
  EXPECT_EQ(events[1].name, "MIGRATION_PASS");
  EXPECT_EQ(events[1].data.at("pass"), 3);
}

TEST(QmpClient, RefusalKeepsClassAndText) {
  ScriptedPeer peer([](Stage& stage) {
    greet(stage);
    stage.line();
    stage.send(
        R"({"id": 2, "error": {"class": "CommandNotFound", "desc": "The command x has not been found"}})"
        "\n");
    stage.line();
    stage.send("{\"return\": 7, \"id\": 3}\n");
    stage.line();
  });
  auto client = open(peer);
  ASSERT_TRUE(client);
  const auto refused = client->execute("x");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().what(), "x: The command x has not been found");
  EXPECT_EQ(refused.error().error_class(), ErrorClass::command_not_found);
  // A refusal does not end the connection.
  EXPECT_EQ(client->execute("y"), boost::json::value(7));
}

TEST(QmpClient, AnswerToAnAbandonedCommandIsNotTakenForAnother) {
  ScriptedPeer peer([](Stage& stage) {
    greet(stage);
    stage.line();  // not answered in time
    stage.line();
    stage.send("{\"return\": \"late\", \"id\": 2}{\"return\": \"right\", \"id\": 3}\n");
    stage.line();
  });
  auto client = open(peer);
  ASSERT_TRUE(client);
  client->set_timeout(Milliseconds(1));
  const auto slow = client->execute("slow");
  ASSERT_FALSE(slow);
  EXPECT_EQ(slow.error().what(), "slow: the monitor does not answer");
  client->set_timeout(Milliseconds(10'000));
  EXPECT_EQ(client->execute("next"), boost::json::value("right"));
}

TEST(QmpClient, DescriptorTravelsWithItsCommand) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  ScriptedPeer peer([](Stage& stage) {
    greet(stage);
    EXPECT_THAT(stage.line(), HasSubstr(R"("arguments":{"fdname":"move"})"));
    const UniqueFd received(stage.take_descriptor());
    EXPECT_EQ(::write(received.get(), "!", 1), 1);
    stage.send("{\"return\": {}, \"id\": 2}\n");
    stage.line();
  });
  auto client = open(peer);
  ASSERT_TRUE(client);
  schema::GetfdArguments arguments;
  arguments.fdname = "move";
  ASSERT_TRUE(client->execute<command::getfd>(arguments, write_end.get()));
  char byte = 0;
  EXPECT_EQ(::read(read_end.get(), &byte, 1), 1);
  EXPECT_EQ(byte, '!');
}

struct BadPeer {
  const char* name;
  std::string sends;  // in answer to the first command
  const char* error;
};

class QmpClientWithBadPeer : public ::testing::TestWithParam<BadPeer> {};

TEST_P(QmpClientWithBadPeer, IsAnError) {
  ScriptedPeer peer([](Stage& stage) {
    greet(stage);
    stage.line();
    stage.send(GetParam().sends);
  });
  auto client = open(peer);
  ASSERT_TRUE(client);
  const auto answer = client->execute<command::query_status>();
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().what(), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    All, QmpClientWithBadPeer,
    ::testing::Values(BadPeer{"closes", "", "the connection was closed"},
                      BadPeer{"closes_in_between", "{\"return\": {", "the connection was closed"},
                      BadPeer{"no_json", "Segmentation fault\n", "not JSON"},
                      BadPeer{"no_object", "[1, 2]\n", "not an object"},
                      BadPeer{"neither", "{\"id\": 2}\n", "neither a return value nor an error"},
                      BadPeer{"other_type", "{\"return\": [], \"id\": 2}\n", "the answer to query-status"},
                      BadPeer{"too_deep", std::string(2000, '['), "not JSON"}),
    [](const auto& bad) { return bad.param.name; });

TEST(QmpClient, SomethingElseThanAMonitorIsRefused) {
  ScriptedPeer peer([](Stage& stage) {
    stage.send("{\"hello\": 1}\n");
    stage.line();
  });
  const auto client = open(peer);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().what(), "the peer does not greet as a QMP monitor does");
}

TEST(QmpClient, SilentPeerCostsNoMoreThanTheDeadline) {
  ScriptedPeer peer([](Stage& stage) { stage.line(); });
  const auto client = QmpClient::open(peer.take_end(), after(Milliseconds(5)), nobody_stops);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().what(), "the monitor does not answer");
}

}  // namespace
}  // namespace godwit::cli
