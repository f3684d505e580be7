// Conversations recorded with the reference, replayed against a Session: the same replies, error texts and
// ids.
#include <boost/json.hpp>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "qmp/session.h"
#include "qmp/testing/fake_commands.h"

namespace godwit::qmp {
namespace {

namespace json = boost::json;

/// Commands of the time before 7.2, which the recorded process does not have and we do.
const std::set<std::string> old_commands = {"migrate_set_speed", "migrate_set_downtime",
                                            "migrate-set-cache-size", "query-migrate-cache-size"};

/// One thing the client sent, and what came back before it sent the next.
struct Exchange {
  json::object sent;
  std::vector<json::object> received;
};

struct Transcript {
  json::object greeting;
  std::vector<Exchange> exchanges;
};

Transcript load(const std::string& name) {
  std::ifstream file(GODWIT_TEST_DATA "/qmp/" + name);
  EXPECT_TRUE(file.is_open()) << name;
  Transcript transcript;
  for (std::string line; std::getline(file, line);) {
    const auto entry = json::parse(line).as_object();
    const auto* direction = entry.if_contains("dir");
    if (!direction) continue;  // the header
    if (*direction == "->")
      transcript.exchanges.push_back({entry, {}});
    else if (*direction == "<-" && transcript.exchanges.empty())
      transcript.greeting = entry.at("msg").as_object();
    else if (*direction == "<-")
      transcript.exchanges.back().received.push_back(entry.at("msg").as_object());
  }
  return transcript;
}

std::string repeated(std::size_t count, std::string_view text) {
  std::string all;
  for (std::size_t index = 0; index < count; ++index) all += text;
  return all;
}

/// An array that goes beyond the limit by so much that `received` follows: one error, then two per element.
std::string too_many_tokens(const std::vector<json::object>& received) {
  const std::size_t elements = 2 * 1024 * 1024 / 2 + (received.size() - 1) / 2;
  return "[" + repeated(elements - 1, "0,") + "0]";
}

std::string bytes_of(const Exchange& exchange) {
  if (const auto* message = exchange.sent.if_contains("msg")) return json::serialize(*message) + "\n";
  const std::string raw(exchange.sent.at("raw").as_string());
  if (raw == "(1024 x \"[\" then 1024 x \"]\")") return repeated(1024, "[") + repeated(1024, "]");
  if (raw == "(1025 x \"[\")") return repeated(1025, "[");
  if (raw == "(id string of 1 MiB)")
    return R"({"execute":"query-name","id":")" + std::string(1 << 20, 'x') + "\"}";
  if (raw == "(array with >2097152 tokens)") return too_many_tokens(exchange.received);
  if (raw == "(id string of 64 MiB + 5)")
    return R"({"execute":"query-status","id":")" + std::string((64 << 20) + 5, 'x') + "\"}\n";
  std::string bytes;  // the file holds bytes as the code points 0 to 255
  for (std::size_t at = 0; at < raw.size(); ++at) {
    const auto lead = static_cast<unsigned char>(raw[at]);
    bytes += lead < 0x80
                 ? raw[at]
                 : static_cast<char>(((lead & 3) << 6) | (static_cast<unsigned char>(raw[++at]) & 63));
  }
  return bytes;
}

/// Sends `bytes` and answers everything; returns the replies.
std::vector<json::object> converse(Session& session, std::string_view bytes) {
  for (; !bytes.empty(); bytes.remove_prefix(std::min<std::size_t>(bytes.size(), 1 << 16))) {
    session.receive(bytes.substr(0, 1 << 16), {});
    for (bool busy = true; busy;) {
      busy = false;
      for (auto next : {&Session::next_out_of_band, &Session::next_in_band})
        while (auto call = (session.*next)()) {
          call->run();
          session.complete(std::move(*call));
          busy = true;
        }
      busy = busy || session.has_in_band();
    }
  }
  std::vector<json::object> replies;
  std::string output = session.take_output();
  for (std::size_t end; (end = output.find("\r\n")) != std::string::npos; output.erase(0, end + 2))
    replies.push_back(json::parse(std::string_view(output).substr(0, end)).as_object());
  EXPECT_TRUE(output.empty());
  return replies;
}

void expect_same(const json::object& ours, const json::object& recorded, const std::string& sent) {
  if (recorded.contains("note")) {
    EXPECT_TRUE(ours.contains("return")) << sent;
    return;
  }
  EXPECT_EQ(ours, recorded) << sent;
}

void replay(const std::string& name) {
  const Transcript transcript = load(name);
  ASSERT_FALSE(transcript.exchanges.empty());
  CommandTable table;
  testing::add_fake_machine(table);
  Session session(table, std::make_shared<DescriptorStore>(std::make_shared<FdSets>()), {});
  const auto greeting = converse(session, "");
  ASSERT_EQ(greeting.size(), 1U);
  EXPECT_EQ(greeting[0].at("QMP").at("capabilities"), transcript.greeting.at("QMP").at("capabilities"));

  for (const Exchange& exchange : transcript.exchanges) {
    if (const auto* message = exchange.sent.if_contains("msg"))
      if (const auto* command = message->as_object().if_contains("execute"))
        if (command->is_string() && old_commands.contains(std::string(command->as_string()))) continue;
    const std::string bytes = bytes_of(exchange);
    const auto replies = converse(session, bytes);
    const std::string shown = bytes.substr(0, 200);
    ASSERT_EQ(replies.size(), exchange.received.size()) << shown;
    for (std::size_t index = 0; index < replies.size(); ++index)
      expect_same(replies[index], exchange.received[index], shown);
  }
}

TEST(Transcript, GreetingAndNegotiation) {
  replay("01-greeting-and-negotiation.jsonl");
}
TEST(Transcript, NegotiatingOutOfBandExecution) {
  replay("01b-negotiate-oob.jsonl");
}
TEST(Transcript, ProtocolErrors) {
  replay("02-protocol-errors.jsonl");
}
TEST(Transcript, ProtocolLimits) {
  replay("02b-protocol-limits.jsonl");
}

}  // namespace
}  // namespace godwit::qmp
