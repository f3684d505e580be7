// Whichever allocation of the monitor's is refused: the client gets its answers, an error, or is sent away,
// and the next one is served.
#include <boost/json.hpp>
#include <chrono>
#include <gtest/gtest.h>
#include <optional>
#include <string>

#include "base/testing/shortage.h"
#include "qmp/testing/monitor_fixture.h"

namespace godwit::qmp {
namespace {

using test::MemoryShortage;
using testing::Client;

constexpr std::chrono::seconds kMostPerWalk{60};

class MonitorExhaustionTest : public testing::MonitorTest, public ::testing::WithParamInterface<const char*> {
 protected:
  /// What one client says, and all it may expect: an answer or an error to each, or the end.
  static void talk(const std::string& address) {
    Client client = Client::connect(address);
    if (!client.line()) return;
    for (
        const char* const request :
        {R"({"execute":"qmp_capabilities","arguments":{"enable":["oob"]},"id":0})",
         R"({"execute":"query-commands","id":1})", R"({"execute":"announce","id":2})",
         R"({"exec-oob":"announce","id":3})", R"({"execute":"no-such-command","id":4})",
         R"({"execute":"query-status","id":[5, {"and": "a long text that is given back as it came, so long"}]})"}) {
      client.send(request);
      std::optional<std::string> line;
      do {
        line = client.line();
        if (!line) return;
      } while (line->find("\"event\"") != std::string::npos);
      const auto reply = boost::json::parse(*line).as_object();
      EXPECT_NE(reply.contains("return"), reply.contains("error")) << *line;
    }
  }

  /// True: there was an nth allocation.
  bool attempt(const std::string& address, std::uint64_t n) {
    bool happened = false;
    {
      const MemoryShortage shortage(GetParam(), n);
      talk(address);
      happened = shortage.happened();
    }
    EXPECT_TRUE(Client::ready(address).ask(R"({"execute":"query-status"})").contains("return"));
    return happened;
  }
};

TEST_P(MonitorExhaustionTest, OfAnyAllocationCostsOneClientAtMost) {
  const std::string address = serve("q");
  Client::ready(address);  // from here on it listens
  const auto end = std::chrono::steady_clock::now() + kMostPerWalk;
  std::uint64_t n = 1;
  while (attempt(address, n)) {
    ASSERT_LT(std::chrono::steady_clock::now(), end) << "the walk has come to " << n;
    ASSERT_FALSE(HasFailure()) << "allocation " << n;
    ++n;
  }
  RecordProperty("allocations", static_cast<int>(n - 1));
  EXPECT_GT(n, 1u) << "it allocates nothing at all: is that its name?";
}

INSTANTIATE_TEST_SUITE_P(Threads, MonitorExhaustionTest, ::testing::Values("monitor", "test-main"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace godwit::qmp
