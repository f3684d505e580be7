// One conversation without a socket.
#include "qmp/session.h"

#include <boost/json.hpp>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "qmp/testing/fake_commands.h"

namespace godwit::qmp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::string negotiate = R"({"execute":"qmp_capabilities"})";
const std::string negotiate_oob = R"({"execute":"qmp_capabilities","arguments":{"enable":["oob"]}})";

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() {
    testing::add_fake_machine(table_);
    table_.add(
        {"overtake", true, [](const boost::json::object&, Context& context) -> Result<boost::json::value> {
           return context.out_of_band();
         }});
  }

  Session session(Session::Settings settings = {}) {
    Session fresh(table_, store_, settings);
    greeting_ = fresh.take_output();
    return fresh;
  }

  /// Runs what is waiting; returns the lines that were sent.
  std::vector<std::string> settle(Session& session) {
    while (session.has_in_band()) {
      const auto call = session.next_in_band();
      if (!call) continue;
      call->run();
      session.complete(std::move(*call));
    }
    return sent(session);
  }

  static std::vector<std::string> sent(Session& session) {
    std::vector<std::string> lines;
    std::string output = session.take_output();
    for (std::size_t end; (end = output.find("\r\n")) != std::string::npos; output.erase(0, end + 2))
      lines.push_back(output.substr(0, end));
    EXPECT_EQ(output, "");
    return lines;
  }

  std::vector<std::string> ask(Session& session, std::string_view text, std::vector<UniqueFd> passed = {}) {
    session.receive(text, std::move(passed));
    return settle(session);
  }

  CommandTable table_;
  std::shared_ptr<DescriptorStore> store_ = std::make_shared<DescriptorStore>(std::make_shared<FdSets>());
  std::string greeting_;
};

TEST_F(SessionTest, GreetsWithVersionAndCapabilities) {
  session();
  EXPECT_EQ(
      greeting_,
      R"({"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": "Godwit 0.1.0"}, )"
      R"("capabilities": ["oob"]}})"
      "\r\n");
  Session without = session({.offer_oob = false});
  EXPECT_THAT(greeting_, ::testing::HasSubstr(R"("capabilities": [])"));
  EXPECT_THAT(ask(without, negotiate_oob),
              ElementsAre(R"({"error": {"class": "GenericError", "desc": "Capability oob not available"}})"));
}

TEST_F(SessionTest, AnswersInOrderWithoutNewlines) {
  Session talk = session();
  EXPECT_THAT(
      ask(talk, negotiate + R"({"execute":"query-name","id":1}x{'execute':'query-name','id':[2]})"),
      ElementsAre(R"({"return": {}})", R"({"return": {}, "id": 1})",
                  R"({"error": {"class": "GenericError", "desc": "JSON parse error, invalid keyword 'x'"}})",
                  R"({"return": {}, "id": [2]})"));
  EXPECT_TRUE(talk.idle());
}

TEST_F(SessionTest, OneRequestAtATimeWithoutOutOfBand) {
  Session talk = session();
  ask(talk, negotiate);
  EXPECT_TRUE(talk.wants_input());
  talk.receive(R"({"execute":"query-name","id":1}{"execute":"query-name","id":2})", {});
  EXPECT_FALSE(talk.wants_input());
  const auto first = talk.next_in_band();
  ASSERT_TRUE(first);
  EXPECT_FALSE(talk.next_in_band());
  first->run();
  talk.complete(std::move(*first));
  EXPECT_THAT(sent(talk), ElementsAre(R"({"return": {}, "id": 1})"));
  EXPECT_FALSE(talk.wants_input());
  EXPECT_THAT(settle(talk), ElementsAre(R"({"return": {}, "id": 2})"));
  EXPECT_TRUE(talk.wants_input());
}

TEST_F(SessionTest, QueuesEightWithOutOfBand) {
  Session talk = session();
  ask(talk, negotiate_oob);
  for (int request = 0; request < 7; ++request) talk.receive(R"({"execute":"query-name"})", {});
  EXPECT_TRUE(talk.wants_input());
  talk.receive(R"({"execute":"query-name"})", {});
  EXPECT_FALSE(talk.wants_input());
  // What stands behind a full queue is not seen, however urgent.
  talk.receive(R"({"exec-oob":"overtake"})", {});
  EXPECT_FALSE(talk.next_out_of_band());
  const auto first = talk.next_in_band();
  EXPECT_TRUE(talk.next_out_of_band());
}

TEST_F(SessionTest, RefusesALimitedNumberAtATime) {
  Session talk = session();
  ask(talk, negotiate);
  std::string nonsense;
  for (std::size_t count = 0; count < Session::refusals_per_turn; ++count) nonsense += "[]";
  talk.receive(nonsense + R"([]{"execute":"query-name","id":1})", {});
  EXPECT_FALSE(talk.next_in_band());
  EXPECT_EQ(sent(talk).size(), Session::refusals_per_turn);
  EXPECT_TRUE(talk.has_in_band());
  const auto call = talk.next_in_band();
  ASSERT_TRUE(call);
  EXPECT_FALSE(talk.has_in_band());
  EXPECT_EQ(sent(talk).size(), 1U);
}

TEST_F(SessionTest, OutOfBandRequestsOvertake) {
  Session talk = session();
  ask(talk, negotiate_oob);
  talk.receive(R"({"execute":"query-name","id":1}{"exec-oob":"overtake","id":2}{"exec-oob":"nope"})", {});
  const auto slow = talk.next_in_band();
  ASSERT_TRUE(slow);
  const auto urgent = talk.next_out_of_band();
  ASSERT_TRUE(urgent);
  urgent->run();
  talk.complete(std::move(*urgent));
  EXPECT_FALSE(talk.next_out_of_band());
  EXPECT_THAT(
      sent(talk),
      ElementsAre(
          R"({"return": true, "id": 2})",
          R"({"error": {"class": "CommandNotFound", "desc": "The command nope has not been found"}})"));
  slow->run();
  talk.complete(std::move(*slow));
  EXPECT_THAT(sent(talk), ElementsAre(R"({"return": {}, "id": 1})"));
  EXPECT_THAT(ask(talk, R"({"execute":"overtake"})"), ElementsAre(R"({"return": false})"));
}

TEST_F(SessionTest, EventsOnlyAfterNegotiation) {
  Session talk = session();
  talk.deliver("early\r\n", "");
  EXPECT_FALSE(talk.has_output());
  ask(talk, negotiate);
  talk.deliver("late\r\n", "");
  EXPECT_THAT(sent(talk), ElementsAre("late"));
}

TEST_F(SessionTest, StaysInNegotiationAfterAnError) {
  Session talk = session();
  ask(talk, R"({"execute":"qmp_capabilities","arguments":{"enable":["bogus"]}})");
  EXPECT_EQ(talk.mode(), SessionMode::negotiation);
  ask(talk, negotiate);
  EXPECT_EQ(talk.mode(), SessionMode::command);
}

TEST_F(SessionTest, PrettyLayout) {
  Session talk = session({.layout = JsonLayout::pretty});
  EXPECT_THAT(greeting_, ::testing::StartsWith("{\r\n    \"QMP\": {\r\n        \"version\""));
  talk.receive(negotiate, {});
  const auto call = talk.next_in_band();
  call->run();
  talk.complete(std::move(*call));
  EXPECT_EQ(talk.take_output(), "{\r\n    \"return\": {\r\n    }\r\n}\r\n");
}

TEST_F(SessionTest, CallOutlivesItsSession) {
  std::unique_ptr<Call> call;
  {
    Session talk = session();
    talk.receive(negotiate, {});
    call = talk.next_in_band();
  }
  call->run();
}

TEST_F(SessionTest, IntrospectionNamesEverything) {
  Session talk = session();
  ask(talk, negotiate);
  const auto reply =
      ask(talk, R"({"execute":"query-commands"}{"execute":"query-events"}{"execute":"query-qmp-schema"})");
  ASSERT_EQ(reply.size(), 3U);
  EXPECT_THAT(reply[0], ::testing::HasSubstr(R"({"name": "migrate-recover"})"));
  EXPECT_THAT(reply[1], ::testing::HasSubstr(R"({"name": "MIGRATION_PASS"})"));
  EXPECT_THAT(reply[2], ::testing::HasSubstr(R"("meta-type": "command")"));
}

// ---- descriptors
// ------------------------------------------------------------------------------------------------

class SessionDescriptorTest : public SessionTest {
 protected:
  SessionDescriptorTest() : talk_(session()) { ask(talk_, negotiate); }

  /// A descriptor one can recognise: a pipe of its own.
  static std::vector<UniqueFd> fresh(std::size_t count = 1) {
    std::vector<UniqueFd> fds;
    for (; count > 0; --count) {
      int ends[2];
      EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
      fds.emplace_back(ends[0]);
      ::close(ends[1]);
    }
    return fds;
  }

  static ino_t identity(const UniqueFd& fd) {
    struct stat status{};
    EXPECT_EQ(::fstat(fd.get(), &status), 0);
    return status.st_ino;
  }

  ino_t stored(std::string_view name) {
    auto fd = store_->take_named(name);
    EXPECT_TRUE(fd) << name;
    return fd ? identity(*fd) : 0;
  }

  static std::string getfd(const std::string& name) {
    return R"({"execute":"getfd","arguments":{"fdname":")" + name + "\"}}";
  }

  const std::string done_ = R"({"return": {}})";
  const std::string none_ =
      R"({"error": {"class": "GenericError", "desc": "No file descriptor supplied via SCM_RIGHTS"}})";
  Session talk_;
};

TEST_F(SessionDescriptorTest, GetfdTakesWhatCameWithIt) {
  auto fds = fresh();
  const ino_t id = identity(fds[0]);
  EXPECT_THAT(ask(talk_, getfd("a"), std::move(fds)), ElementsAre(done_));
  EXPECT_EQ(stored("a"), id);
  EXPECT_THAT(ask(talk_, getfd("b")), ElementsAre(none_));
}

TEST_F(SessionDescriptorTest, PiecesOfARequestAndBlanksCarryThemToo) {
  auto fds = fresh(1);
  const ino_t first = identity(fds[0]);
  talk_.receive(" ", std::move(fds));
  EXPECT_THAT(ask(talk_, getfd("a")), ElementsAre(done_));
  EXPECT_EQ(stored("a"), first);
  auto tail = fresh(1);
  const ino_t second = identity(tail[0]);
  talk_.receive(getfd("b").substr(0, 10), {});
  EXPECT_THAT(ask(talk_, getfd("b").substr(10), std::move(tail)), ElementsAre(done_));
  EXPECT_EQ(stored("b"), second);
}

TEST_F(SessionDescriptorTest, QueuedRequestsKeepTheirOwn) {
  ask(talk_, "");
  Session talk = session();
  ask(talk, negotiate_oob);
  auto one = fresh();
  auto two = fresh();
  const ino_t first = identity(one[0]);
  const ino_t second = identity(two[0]);
  talk.receive(getfd("a"), std::move(one));
  talk.receive(getfd("b"), std::move(two));
  EXPECT_THAT(settle(talk), ElementsAre(done_, done_));
  EXPECT_EQ(stored("a"), first);
  EXPECT_EQ(stored("b"), second);
}

TEST_F(SessionDescriptorTest, UnusedOnesWaitForTheNextCommandUntilNewerOnesCome) {
  auto fds = fresh();
  const ino_t id = identity(fds[0]);
  EXPECT_THAT(ask(talk_, R"({"execute":"query-name"}{"nope":1})", std::move(fds)), ::testing::SizeIs(2));
  auto newer = fresh();
  const ino_t newest = identity(newer[0]);
  EXPECT_THAT(ask(talk_, getfd("a")), ElementsAre(done_));
  EXPECT_EQ(stored("a"), id);
  ask(talk_, R"({"execute":"query-name"})", fresh());
  EXPECT_THAT(ask(talk_, getfd("a"), std::move(newer)), ElementsAre(done_));
  EXPECT_EQ(stored("a"), newest);
  EXPECT_THAT(ask(talk_, getfd("b")), ElementsAre(none_));
}

TEST_F(SessionDescriptorTest, OfSeveralTheFirstCounts) {
  auto fds = fresh(3);
  const ino_t first = identity(fds[0]);
  EXPECT_THAT(ask(talk_, getfd("a") + getfd("b"), std::move(fds)), ElementsAre(done_, none_));
  EXPECT_EQ(stored("a"), first);
}

TEST_F(SessionDescriptorTest, NamesReplaceAndClose) {
  const std::string close_a = R"({"execute":"closefd","arguments":{"fdname":"a"}})";
  const std::string not_found =
      R"({"error": {"class": "GenericError", "desc": "File descriptor named 'a' not found"}})";
  auto fds = fresh();
  ask(talk_, getfd("a"), fresh());
  const ino_t id = identity(fds[0]);
  ask(talk_, getfd("a"), std::move(fds));
  EXPECT_EQ(stored("a"), id);
  EXPECT_THAT(ask(talk_, close_a), ElementsAre(not_found));
  EXPECT_THAT(ask(talk_, getfd("1a"), fresh()),
              ElementsAre(R"({"error": {"class": "GenericError", "desc": )"
                          R"("Parameter 'fdname' expects a name not starting with a digit"}})"));
  EXPECT_EQ(store_->take_named("nosuchfd").error().what(),
            "File descriptor named 'nosuchfd' has not been found");
}

TEST_F(SessionDescriptorTest, SetsOfDescriptors) {
  const auto number = [](const std::string& reply) {
    return boost::json::parse(reply).at("return").at("fd").as_int64();
  };
  const auto first = number(ask(talk_, R"({"execute":"add-fd"})", fresh())[0]);
  const auto second =
      number(ask(talk_, R"({"execute":"add-fd","arguments":{"fdset-id":7,"opaque":"o"}})", fresh())[0]);
  EXPECT_THAT(ask(talk_, R"({"execute":"add-fd"})"), ElementsAre(none_));
  EXPECT_THAT(ask(talk_, R"({"execute":"query-fdsets"})"),
              ElementsAre(R"({"return": [{"fdset-id": 7, "fds": [{"fd": )" + std::to_string(second) +
                          R"(, "opaque": "o"}]}, {"fdset-id": 0, "fds": [{"fd": )" + std::to_string(first) +
                          "}]}]}"));
  EXPECT_TRUE(store_->open_fdset("/dev/fdset/7", O_RDONLY));
  EXPECT_EQ(store_->open_fdset("/dev/fdset/7", O_RDWR).error().what(),
            "Could not dup FD for /dev/fdset/7 flags 2: Permission denied");
  EXPECT_EQ(store_->open_fdset("/dev/fdset/9", O_RDONLY).error().what(),
            "Could not dup FD for /dev/fdset/9 flags 0: No such file or directory");
  EXPECT_EQ(store_->open_fdset("/dev/fdset/x", O_RDONLY).error().what(),
            "Could not parse fdset /dev/fdset/x");
  EXPECT_THAT(
      ask(talk_, R"({"execute":"remove-fd","arguments":{"fdset-id":7,"fd":9999}})"),
      ElementsAre(
          R"({"error": {"class": "GenericError", "desc": "File descriptor named 'fdset-id:7, fd:9999' not found"}})"));
  EXPECT_THAT(
      ask(talk_,
          R"({"execute":"remove-fd","arguments":{"fdset-id":7}}{"execute":"remove-fd","arguments":{"fdset-id":0}})"),
      ElementsAre(done_, done_));
  EXPECT_THAT(
      ask(talk_, R"({"execute":"remove-fd","arguments":{"fdset-id":7}})"),
      ElementsAre(
          R"({"error": {"class": "GenericError", "desc": "File descriptor named 'fdset-id:7' not found"}})"));
  EXPECT_THAT(ask(talk_, R"({"execute":"query-fdsets"})"), ElementsAre(R"({"return": []})"));
  EXPECT_THAT(
      ask(talk_, R"({"execute":"add-fd","arguments":{"fdset-id":-1}})", fresh()),
      ElementsAre(
          R"({"error": {"class": "GenericError", "desc": "Parameter 'fdset-id' expects a non-negative value"}})"));
}

}  // namespace
}  // namespace godwit::qmp
