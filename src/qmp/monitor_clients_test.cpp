// Clients that misbehave, and descriptors that travel: nobody else notices.
#include <atomic>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qmp/testing/monitor_fixture.h"

namespace godwit::qmp {
namespace {

using testing::Client;
using testing::MonitorTest;

class ClientsTest : public MonitorTest {
 protected:
  /// A pipe whose writing end is given away: when all copies are closed, drained() says so.
  struct Probe {
    UniqueFd reading;
    UniqueFd writing;

    bool all_copies_closed() {
      writing.reset();
      pollfd query{reading.get(), POLLIN, 0};
      const auto limit = std::chrono::milliseconds(testing::deadline);
      return ::poll(&query, 1, static_cast<int>(limit.count())) == 1 && (query.revents & POLLHUP) != 0;
    }
    bool some_copy_open() {
      writing.reset();
      pollfd query{reading.get(), POLLIN, 0};
      return ::poll(&query, 1, 0) == 0;
    }
  };

  static Probe make_probe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
  }

  const std::string getfd_a_ = R"({"execute":"getfd","arguments":{"fdname":"a"}})";
  const std::string closefd_a_ = R"({"execute":"closefd","arguments":{"fdname":"a"}})";
  const std::string query_ = R"({"execute":"query-name"})";
};

// ---- descriptors
// ------------------------------------------------------------------------------------------------

TEST_F(ClientsTest, DescriptorsTravelWithTheirRequests) {
  Client client = Client::ready(serve("q"));
  Probe probe = make_probe();
  client.send(getfd_a_, {probe.writing.get()});
  EXPECT_TRUE(client.reply().contains("return"));
  EXPECT_TRUE(probe.some_copy_open());
  EXPECT_TRUE(client.ask(closefd_a_).contains("return"));
  EXPECT_TRUE(probe.all_copies_closed());
}

TEST_F(ClientsTest, PipelinedRequestsEachHaveTheirOwn) {
  Client client = Client::ready(serve("q"));
  Probe first = make_probe();
  Probe second = make_probe();
  client.send(query_);
  client.send(getfd_a_, {first.writing.get()});
  client.send(R"({"execute":"getfd","arguments":{"fdname":"b"}})", {second.writing.get()});
  client.send(closefd_a_);
  for (int reply = 0; reply < 4; ++reply) EXPECT_TRUE(client.reply().contains("return"));
  EXPECT_TRUE(first.all_copies_closed());
  EXPECT_TRUE(second.some_copy_open());
}

TEST_F(ClientsTest, NamesBelongToTheMonitorAndOutliveTheConnection) {
  const std::string address = serve("a");
  Client other = Client::ready(serve("b"));
  {
    Client client = Client::ready(address);
    const Probe probe = make_probe();
    client.send(getfd_a_, {probe.writing.get()});
    EXPECT_TRUE(client.reply().contains("return"));
  }
  EXPECT_EQ(other.ask(closefd_a_).at("error").at("desc"), "File descriptor named 'a' not found");
  EXPECT_TRUE(Client::ready(address).ask(closefd_a_).contains("return"));
}

TEST_F(ClientsTest, SetsAreSharedAndCloseWhenTheLastClientLeaves) {
  Client first = Client::ready(serve("a"));
  Client second = Client::ready(serve("b"));
  Probe probe = make_probe();
  first.send(R"({"execute":"add-fd"})", {probe.writing.get()});
  EXPECT_TRUE(first.reply().contains("return"));
  first.close();
  EXPECT_EQ(second.ask(R"({"execute":"query-fdsets"})").at("return").as_array().size(), 1U);
  EXPECT_TRUE(probe.some_copy_open());
  second.close();
  EXPECT_TRUE(probe.all_copies_closed());
}

TEST_F(ClientsTest, WhatAVanishedClientHadSentIsClosed) {
  Client client = Client::ready(serve("q"));
  Probe probe = make_probe();
  client.send(R"({"execute":"getfd", )", {probe.writing.get()});
  client.close();
  EXPECT_TRUE(probe.all_copies_closed());
}

// ---- clients that vanish, do not read, or never stop
// ------------------------------------------------------------

TEST_F(ClientsTest, RequestsOfAVanishedClientAreDropped) {
  const std::string address = serve("q");
  Client client = Client::ready(address, true);
  client.send(R"({"execute":"hold"})" + note("1") + note("2") + R"({"exec-oob":"announce","id":"seen"})");
  EXPECT_TRUE(soon(holding_));
  EXPECT_EQ(client.reply().at("id"), "seen");
  client.close();
  Client next = Client::connect(address);
  EXPECT_TRUE(next.receive().contains("QMP"));  // so the first one has been noticed to be gone
  release_.set();
  EXPECT_TRUE(next.ask(R"({"execute":"qmp_capabilities"})").contains("return"));
  EXPECT_THAT(notes(), ::testing::IsEmpty());
}

TEST_F(ClientsTest, AClientThatDoesNotReadEventsIsDisconnected) {
  Client deaf =
      Client::ready(serve("a", {.pretty = false, .limits = {.pause_bytes = 1000, .drop_bytes = 100'000}}));
  Client other = Client::ready(serve("b"));
  const boost::json::object data = {{"text", std::string(1000, 'x')}};
  constexpr int count = 3000;
  for (int event = 0; event < count; ++event) monitor_->emit("LARGE", data);
  for (int event = 0; event < count; ++event) ASSERT_EQ(other.receive().at("event"), "LARGE");
  EXPECT_TRUE(other.ask(query_).contains("return"));
  EXPECT_TRUE(deaf.closed_by_peer());
}

TEST_F(ClientsTest, AReplyBeyondTheLimitIsStillSent) {
  Client client =
      Client::ready(serve("a", {.pretty = false, .limits = {.pause_bytes = 1000, .drop_bytes = 10'000}}));
  const std::string large(3'000'000, 'x');
  client.send(R"({"execute":"query-name","id":")" + large + "\"}");
  EXPECT_EQ(client.reply().at("id").as_string(), large);
  EXPECT_TRUE(client.ask(query_).contains("return"));
}

TEST_F(ClientsTest, RequestsWaitWhileTheirClientDoesNotRead) {
  Client deaf =
      Client::ready(serve("a", {.pretty = false, .limits = {.pause_bytes = 10'000, .drop_bytes = 1 << 30}}));
  Client other = Client::ready(serve("b"));
  const std::string request = R"({"execute":"query-name","id":")" + std::string(4000, 'x') + "\"}";
  std::string all;
  for (int copy = 0; copy < 10'000; ++copy) all += request;

  // Until nothing moves any more, however often the monitor has had the opportunity.
  std::size_t sent = 0;
  for (int idle_turns = 0; idle_turns < 100 && sent < all.size(); ++idle_turns) {
    const std::size_t now = deaf.send_what_fits(std::string_view(all).substr(sent));
    sent += now;
    if (now > 0) idle_turns = 0;
    ASSERT_TRUE(other.ask(query_).contains("return"));
  }
  ASSERT_LT(sent, all.size() / 2);

  const std::size_t complete = sent / request.size();
  for (std::size_t reply = 0; reply < complete; ++reply) ASSERT_TRUE(deaf.reply().contains("return"));
  deaf.send(std::string_view(all).substr(sent, (complete + 1) * request.size() - sent));
  EXPECT_TRUE(deaf.reply().contains("return"));
}

TEST_F(ClientsTest, AFloodDoesNotDelayOthersForLong) {
  Client flood = Client::ready(serve("a"), true);
  Client other = Client::ready(serve("b"));
  std::string garbage;
  for (int copy = 0; copy < 1000; ++copy) garbage += R"(}[1 2]{"execute":"nope"}{"exec-oob":"announce"}%)";
  std::atomic<std::size_t> answered = 0;
  const auto flooding = start_thread("flood", [&](const std::stop_token& stop) {
    std::size_t at = 0;
    while (!stop.stop_requested()) {
      at = (at + flood.send_what_fits(std::string_view(garbage).substr(at))) % garbage.size();
      char chunk[65536];
      const ssize_t got = ::recv(flood.fd(), chunk, sizeof chunk, MSG_DONTWAIT);
      if (got > 0) answered += static_cast<std::size_t>(got);
    }
  });
  for (int request = 0; request < 200 || answered < 100'000; ++request)
    ASSERT_TRUE(other.ask(query_).contains("return"));
}

TEST_F(ClientsTest, ManyClientsComeAndGo) {
  const std::string address = serve("q");
  for (int visit = 0; visit < 100; ++visit) {
    Client client = Client::connect(address);
    if (visit % 3 == 1) client.send(R"({"execute":"qmp_capabilities"}{"execute":"announce"}[)");
    if (visit % 3 == 2) {
      EXPECT_TRUE(client.receive().contains("QMP"));
    }
  }
  EXPECT_TRUE(Client::ready(address).ask(query_).contains("return"));
}

TEST_F(ClientsTest, EventsFromManyThreadsReachEveryClientInOneOrder) {
  Client first = Client::ready(serve("a"));
  Client second = Client::ready(serve("b"));
  constexpr int threads = 4;
  constexpr int each = 200;
  {
    std::vector<std::jthread> emitters;
    for (int thread = 0; thread < threads; ++thread)
      emitters.push_back(start_thread("emitter", [this, thread](const std::stop_token&) {
        for (int number = 0; number < each; ++number)
          monitor_->emit("NUMBERED", boost::json::object{{"thread", thread}, {"number", number}});
      }));
  }
  std::vector<int> next(threads, 0);
  std::int64_t last_stamp = 0;
  for (int event = 0; event < threads * each; ++event) {
    const auto seen = first.receive();
    ASSERT_EQ(seen, second.receive());
    const auto& data = seen.at("data");
    EXPECT_EQ(data.at("number").as_int64(), next[static_cast<std::size_t>(data.at("thread").as_int64())]++);
    const auto& stamp = seen.at("timestamp");
    const std::int64_t microseconds =
        stamp.at("seconds").as_int64() * 1'000'000 + stamp.at("microseconds").as_int64();
    EXPECT_GE(microseconds, last_stamp);
    last_stamp = microseconds;
  }
}

}  // namespace
}  // namespace godwit::qmp
