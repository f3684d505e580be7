// Monitors over real sockets: what each client is promised.
#include "qmp/monitor.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <godwit/schema/commands.h>

#include "qmp/sockets.h"
#include "qmp/testing/monitor_fixture.h"

namespace godwit::qmp {
namespace {

using testing::Client;
using ::testing::ElementsAre;
using testing::MonitorTest;

TEST_F(MonitorTest, ServesAUnixSocketAndRemovesIt) {
  const std::string address = serve("q");
  EXPECT_EQ(address, "unix:" + path("q"));
  Client client = Client::connect(address);
  EXPECT_EQ(client.receive().at("QMP").at("capabilities").as_array().size(), 1U);
  client.send(R"({"execute":"qmp_capabilities"}{"execute":"query-name","id":1} {"execute":"query-status")");
  EXPECT_TRUE(client.receive().contains("return"));
  EXPECT_EQ(client.receive().at("id"), 1);
  EXPECT_EQ(client.ask("}").at("return").at("status"), "running");
  monitor_.reset();
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_FALSE(std::filesystem::exists(path("q")));
}

TEST_F(MonitorTest, TakesThePlaceOfAStaleSocket) {
  {
    ASSERT_TRUE(listen_on(UnixEndpoint{path("q"), Listening{}}).has_value());
  }
  auto stale = listen_on(UnixEndpoint{path("q"), Listening{}});
  ASSERT_TRUE(stale);
  Client::ready(serve("q"));
}

TEST_F(MonitorTest, ServesTcp) {
  const auto address = monitor_->add(TcpEndpoint{"127.0.0.1", "0", Listening{}});
  ASSERT_TRUE(address);
  EXPECT_NE(*address, "tcp:127.0.0.1:0");
  Client client = Client::ready(*address);
  EXPECT_TRUE(client.ask(R"({"execute":"query-name"})").contains("return"));
}

TEST_F(MonitorTest, ConnectsAsAClient) {
  for (const bool tcp : {false, true}) {
    auto listener = tcp ? listen_on(TcpEndpoint{"127.0.0.1", "0", Listening{}})
                        : listen_on(UnixEndpoint{path("peer"), Listening{}});
    ASSERT_TRUE(listener);
    auto endpoint = parse_endpoint(listener->address);
    ASSERT_TRUE(endpoint && monitor_->add(*std::move(endpoint)));
    auto accepted = accept_client(listener->fd.get());
    ASSERT_TRUE(accepted && *accepted);
    Client client(*std::move(accepted));
    EXPECT_TRUE(client.receive().contains("QMP"));
  }
}

TEST_F(MonitorTest, ServesAnOpenDescriptor) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  ASSERT_TRUE(monitor_->add(OpenEndpoint{UniqueFd(ends[0])}));
  Client client{UniqueFd(ends[1])};
  EXPECT_TRUE(client.receive().contains("QMP"));
  EXPECT_TRUE(client.ask(R"({"execute":"qmp_capabilities"})").contains("return"));
}

/// Puts other descriptors in the place of standard input and output, and the old ones back.
class Redirected {
 public:
  Redirected(int in, int out) : in_(::dup(STDIN_FILENO)), out_(::dup(STDOUT_FILENO)) {
    std::fflush(stdout);
    ::dup2(in, STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
  }
  ~Redirected() {
    std::fflush(stdout);
    ::dup2(in_.get(), STDIN_FILENO);
    ::dup2(out_.get(), STDOUT_FILENO);
  }

 private:
  UniqueFd in_;
  UniqueFd out_;
};

TEST_F(MonitorTest, ServesStandardInputAndOutput) {
  int in[2];
  int out[2];
  ASSERT_EQ(::pipe(in), 0);
  ASSERT_EQ(::pipe(out), 0);
  UniqueFd input(in[1]);
  const UniqueFd output(out[0]);
  Result<std::string> added;
  {
    const Redirected redirected(in[0], out[1]);
    added = monitor_->add(StdioEndpoint{});
    ::close(in[0]);
    ::close(out[1]);
  }
  ASSERT_TRUE(added);
  const std::string request = R"({"execute":"qmp_capabilities"}{"execute":"query-name","id":7})";
  ASSERT_EQ(::write(input.get(), request.data(), request.size()), static_cast<ssize_t>(request.size()));
  input.reset();  // the answers still come, then the end
  std::string text;
  char chunk[4096];
  for (ssize_t got; (got = ::read(output.get(), chunk, sizeof chunk)) > 0;)
    text.append(chunk, static_cast<std::size_t>(got));
  EXPECT_THAT(text, ::testing::StartsWith("{\"QMP\": "));
  EXPECT_THAT(text, ::testing::EndsWith("{\"return\": {}}\r\n{\"return\": {}, \"id\": 7}\r\n"));
}

TEST_F(MonitorTest, SaysWhyAnEndpointCannotBeOpened) {
  const auto why = [this](Endpoint endpoint) {
    const auto added = monitor_->add(std::move(endpoint));
    return added ? "it can" : added.error().what();
  };
  EXPECT_EQ(why(UnixEndpoint{"/nonexistent/q", Listening{}}),
            "Failed to bind socket to /nonexistent/q: No such file or directory");
  EXPECT_EQ(why(UnixEndpoint{"/nonexistent/q", std::nullopt}),
            "Failed to connect to '/nonexistent/q': No such file or directory");
  EXPECT_THAT(why(UnixEndpoint{std::string(120, 'x'), Listening{}}), ::testing::HasSubstr("is too long"));
  EXPECT_EQ(why(TcpEndpoint{"127.0.0.1", "1", std::nullopt}),
            "Failed to connect to '127.0.0.1:1': Connection refused");
  const std::string taken = *monitor_->add(TcpEndpoint{"127.0.0.1", "0", Listening{}});
  EXPECT_EQ(why(TcpEndpoint{"127.0.0.1", taken.substr(taken.rfind(':') + 1), Listening{}}),
            "Failed to find an available port: Address already in use");
  std::ofstream(path("file")) << "no socket";
  EXPECT_THAT(why(UnixEndpoint{path("file"), Listening{}}), ::testing::HasSubstr("Address already in use"));
}

TEST_F(MonitorTest, ThreadHasItsName) {
  Client::ready(serve("q"));
  bool found = false;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(entry.path() / "comm"), name);
    found = found || name == "monitor";
  }
  EXPECT_TRUE(found);
}

TEST_F(MonitorTest, WaitsForTheFirstClient) {
  const auto address = monitor_->add(UnixEndpoint{path("q"), Listening{.wait_for_client = true}});
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(monitor_->wait_for_clients(stop.get_token()));
  Event came;
  const auto waiter = start_thread("waiter", [&](const std::stop_token&) {
    if (monitor_->wait_for_clients()) came.set();
  });
  EXPECT_FALSE(came.is_set());
  Client client = Client::connect(*address);
  EXPECT_TRUE(soon(came));
}

// ---- order
// ------------------------------------------------------------------------------------------------------

TEST_F(MonitorTest, WhatACommandEmitsComesBeforeItsReply) {
  Client client = Client::ready(serve("q"), true);
  for (const auto* request : {R"({"execute":"announce"})", R"({"exec-oob":"announce"})"}) {
    client.send(request);
    EXPECT_EQ(client.receive().at("event"), "ANNOUNCED");
    EXPECT_TRUE(client.receive().contains("return"));
  }
}

TEST_F(MonitorTest, EventsCarryTimeAndData) {
  Client client = Client::ready(serve("q"));
  const auto before = std::chrono::system_clock::now();
  monitor_->emit<schema::event::MIGRATION>({.status = schema::MigrationStatus::active});
  monitor_->emit<schema::event::STOP>();
  const auto first = client.receive();
  EXPECT_EQ(first.at("event"), "MIGRATION");
  EXPECT_EQ(first.at("data").at("status"), "active");
  const auto& stamp = first.at("timestamp");
  const auto when =
      std::chrono::system_clock::time_point(std::chrono::seconds(stamp.at("seconds").as_int64()) +
                                            std::chrono::microseconds(stamp.at("microseconds").as_int64()));
  EXPECT_LE(std::chrono::floor<std::chrono::microseconds>(before), when);
  EXPECT_LE(when, std::chrono::system_clock::now());
  EXPECT_FALSE(client.receive().contains("data"));
}

TEST_F(MonitorTest, OutOfBandOvertakesABlockedCommand) {
  Client client = Client::ready(serve("q"), true);
  client.send(R"({"execute":"hold","id":1}{"execute":"query-name","id":2})");
  EXPECT_TRUE(soon(holding_));
  EXPECT_EQ(client.ask(R"({"exec-oob":"migrate-pause","id":3})").at("id"), 3);
  release_.set();
  EXPECT_EQ(client.receive().at("id"), 1);
  EXPECT_EQ(client.receive().at("id"), 2);
}

TEST_F(MonitorTest, ClientsTakeTurns) {
  Client greedy = Client::ready(serve("a"), true);
  Client modest = Client::ready(serve("b"), true);
  greedy.send(R"({"execute":"hold"})" + note("a1") + note("a2") + note("a3") +
              R"({"exec-oob":"announce","id":"seen"})");
  EXPECT_TRUE(soon(holding_));
  EXPECT_EQ(greedy.reply().at("id"), "seen");
  modest.send(note("b1") + note("b2") + R"({"exec-oob":"announce","id":"seen"})");
  EXPECT_EQ(modest.reply().at("id"), "seen");
  release_.set();
  for (int reply = 0; reply < 4; ++reply) greedy.reply();
  for (int reply = 0; reply < 2; ++reply) modest.reply();
  EXPECT_THAT(notes(), ElementsAre("b1", "a1", "b2", "a2", "a3"));
}

// ---- several monitors, several clients
// --------------------------------------------------------------------------

TEST_F(MonitorTest, MonitorsNegotiateSeparatelyAndShareEvents) {
  Client first = Client::ready(serve("a"));
  Client second = Client::connect(serve("b"));
  EXPECT_TRUE(second.receive().contains("QMP"));
  EXPECT_EQ(first.ask(R"({"execute":"announce","id":"early"})").at("id"), "early");
  EXPECT_EQ(second.ask(R"({"execute":"query-name"})").at("error").at("class"), "CommandNotFound");
  EXPECT_TRUE(second.ask(R"({"execute":"qmp_capabilities"})").contains("return"));
  first.send(R"({"execute":"announce"})");
  EXPECT_EQ(second.receive().at("event"), "ANNOUNCED");
  EXPECT_EQ(first.receive().at("event"), "ANNOUNCED");
}

TEST_F(MonitorTest, TheNextClientWaitsUntilTheFirstHasLeft) {
  const std::string address = serve("q");
  Client first = Client::ready(address);
  Client second = Client::connect(address);
  EXPECT_TRUE(first.ask(R"({"execute":"query-name"})").contains("return"));
  EXPECT_TRUE(second.silent());
  first.close();
  EXPECT_TRUE(second.receive().contains("QMP"));
  EXPECT_EQ(second.ask(R"({"execute":"query-name"})").at("error").at("class"), "CommandNotFound");
}

TEST_F(MonitorTest, WhoOnlyStopsSendingGetsItsAnswers) {
  Client client = Client::connect(serve("q"));
  client.send(
      R"({"execute":"qmp_capabilities"}{"execute":"query-name","id":1}{"execute":"query-name","id":2})");
  client.finish_sending();
  client.receive();
  client.receive();
  EXPECT_EQ(client.receive().at("id"), 1);
  EXPECT_EQ(client.receive().at("id"), 2);
  EXPECT_TRUE(client.closed_by_peer());
}

TEST_F(MonitorTest, PrettyMonitor) {
  Client client = Client::connect(serve("q", {.pretty = true, .limits = {}}));
  const std::string expected = "{\r\n    \"QMP\": {\r\n";
  std::string text(expected.size(), '\0');
  ASSERT_EQ(::recv(client.fd(), text.data(), text.size(), MSG_WAITALL), static_cast<ssize_t>(text.size()));
  EXPECT_EQ(text, expected);
}

// ---- the end
// ----------------------------------------------------------------------------------------------------

TEST_F(MonitorTest, CloseDeliversWhatWasSaidAndDropsWhatHasNotBegun) {
  Client client = Client::ready(serve("q"), true);
  Event closed;
  on_quit([this] { monitor_->emit("SHUTDOWN", std::nullopt); });
  client.send(R"({"execute":"hold"}{"execute":"quit","id":"q"})" + note("too late"));
  EXPECT_TRUE(soon(holding_));
  release_.set();
  EXPECT_TRUE(client.receive().contains("return"));
  EXPECT_EQ(client.receive().at("event"), "SHUTDOWN");
  EXPECT_EQ(client.receive().at("id"), "q");
  loop_.post([&] {
    monitor_->close(std::chrono::seconds(5));
    closed.set();
  });
  EXPECT_TRUE(soon(closed));
  EXPECT_TRUE(client.closed_by_peer());
  monitor_->emit("LATE", std::nullopt);
  EXPECT_FALSE(monitor_->add(UnixEndpoint{path("late"), Listening{}}));
}

TEST_F(MonitorTest, TheReplyToTheLastCommandIsSentBeforeTheEnd) {
  Client client = Client::ready(serve("q"));
  Event closed;
  // As in the process: the handler asks the main loop to end, and the end comes behind the reply.
  on_quit([&] {
    monitor_->emit("SHUTDOWN", std::nullopt);
    loop_.post([&] {
      monitor_->close(std::chrono::seconds(5));
      closed.set();
    });
  });
  client.send(R"({"execute":"quit","id":"q"})" + note("too late"));
  EXPECT_EQ(client.receive().at("event"), "SHUTDOWN");
  EXPECT_EQ(client.receive().at("id"), "q");
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_TRUE(soon(closed));
  EXPECT_THAT(notes(), ::testing::IsEmpty());
}

TEST_F(MonitorTest, CloseWhileACommandRuns) {
  Client client = Client::ready(serve("q"));
  client.send(R"({"execute":"hold"})");
  EXPECT_TRUE(soon(holding_));
  monitor_.reset();
  EXPECT_TRUE(client.closed_by_peer());
  release_.set();  // its answer finds nobody
}

}  // namespace
}  // namespace godwit::qmp
