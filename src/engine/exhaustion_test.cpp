// Whichever allocation of whichever thread of a migration is refused: the attempt ends with an error that
// says so, and the guest runs at exactly one side.
#include "base/exhaustion.h"

#include <chrono>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>
#include <spdlog/spdlog.h>

#include "base/testing/shortage.h"
#include "base/thread.h"
#include "engine/outgoing/multifd_sender.h"
#include "engine/testing/lanes_pair.h"
#include "engine/testing/log_capture.h"
#include "engine/testing/postcopy_fixture.h"

namespace godwit::engine {
namespace {

using test::MemoryShortage;
using test::ThreadShortage;
using ::testing::HasSubstr;
using testing::Host;
using testing::LogCapture;
using testing::Pair;
using testing::PostcopyFixture;
using Capability = schema::MigrationCapability;

constexpr std::chrono::seconds kMostPerWalk{60};

/// Made before there are threads: the thread sanitizer does not see how spdlog keeps two from making it.
[[maybe_unused]] const auto* const logger = spdlog::default_logger_raw();

/// Tries n = 1, 2, ... until it is more than the thread ever allocates. `attempt(n)` says whether it was
/// less.
template <typename Attempt>
void walk(Attempt attempt) {
  const auto end = std::chrono::steady_clock::now() + kMostPerWalk;
  std::uint64_t n = 1;
  while (attempt(n)) {
    ASSERT_LT(std::chrono::steady_clock::now(), end) << "the walk has come to " << n;
    ASSERT_FALSE(::testing::Test::HasFailure()) << "allocation " << n;
    ++n;
  }
  ::testing::Test::RecordProperty("allocations", static_cast<int>(n - 1));
  EXPECT_GT(n, 1u) << "it allocates nothing at all: is that its name?";
}

struct Way {
  std::string thread;
  std::vector<Capability> capabilities;
  bool at_destination = false;  ///< which then ends
};

class ExhaustionTest : public testing::LanesTest, public ::testing::WithParamInterface<Way> {
 protected:
  static bool runs(const Host& host) { return host.guest.run_state() == RunState::running; }

  /// True: there was an nth allocation.
  bool attempt(std::uint64_t n) {
    uri_ = directory_.uri("m" + std::to_string(n));
    LogCapture log;
    std::string said;
    bool happened = false;
    bool moved = false;
    {
      Pair pair({{"low", 40}, {"high", 200}});
      for (const Capability capability : GetParam().capabilities) pair.set(capability);
      pair.set(Capability::return_path);
      schema::MigrateSetParameters parameters;
      parameters.multifd_compression = schema::MultiFDCompression::zlib;
      pair.set(parameters);
      pair.write_meanwhile(2);
      const MemoryShortage shortage(GetParam().thread, n);
      listen(pair.destination);
      EXPECT_TRUE(pair.source.migrate(uri_));
      pair.source.recorder.wait_for_any({"completed", "failed"}, 1);
      pair.source.migration.wait_until_idle();
      moved = !runs(pair.source);
      happened = shortage.happened();
      if (moved || (happened && GetParam().at_destination))
        pair.destination.recorder.wait_for_any({"completed", "exit 1"}, 1);
      EXPECT_EQ(moved, runs(pair.destination)) << log.text();
      EXPECT_TRUE(!moved || pair.source.guest.same_memory(pair.destination.guest));
      said = pair.destination.recorder.failure();
    }
    said += log.text();
    EXPECT_TRUE(moved || happened) << said;
    if (!moved) {
      EXPECT_THAT(said, ::testing::AllOf(HasSubstr("Out of memory"), HasSubstr("source, ")));
    }
    return happened;
  }
};

TEST_P(ExhaustionTest, OfAnyAllocationLeavesTheGuestAtOneSide) {
  walk([this](std::uint64_t n) { return attempt(n); });
}

const std::vector<Capability> kMultifd = {Capability::multifd};
const std::vector<Capability> kCompress = {Capability::compress};

INSTANTIATE_TEST_SUITE_P(Threads, ExhaustionTest,
                         ::testing::Values(Way{"migration", {}}, Way{"incoming", {}, true}, Way{"accept", {}},
                                           Way{"tls-handshake", {}}, Way{"migration", kMultifd},
                                           Way{"incoming", kMultifd, true},
                                           Way{"multifd-recv", kMultifd, true}, Way{"compress-0", kCompress},
                                           Way{"decompress-0", kCompress, true}, Way{"migration", kCompress},
                                           Way{"incoming", kCompress, true}),
                         [](const auto& test) {
                           std::string name = test.param.thread;
                           for (const Capability capability : test.param.capabilities)
                             name += "_" + std::string(schema::to_string(capability));
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

/// A channel that needs memory each time; those of the engine need none while they write.
struct StarvingWriter final : PacketWriter {
  Result<Written> write(wire::MultifdPacket&, const RamBlock&) override { throw std::bad_alloc(); }
  Result<Written> synchronize(std::uint64_t) override { throw std::bad_alloc(); }
  void shutdown() noexcept override {}
};

TEST(MultifdSenderTest, AChannelWithoutMemoryEndsAll) {
  RamCounters counters;
  Event failed;
  MultifdSender sender(2, counters);
  ASSERT_TRUE(sender.connect(
      [](std::uint8_t) -> Result<std::unique_ptr<PacketWriter>> {
        return std::make_unique<StarvingWriter>();
      },
      [&] { failed.set(); }));
  const auto sent = sender.synchronize();
  ASSERT_FALSE(sent);
  EXPECT_THAT(sent.error().what(), ::testing::MatchesRegex("multifd channel [01]: Out of memory"));
  failed.wait();
}

/// The same in postcopy, where the attempt goes on after a pause.
class PostcopyExhaustionTest : public PostcopyFixture, public ::testing::WithParamInterface<const char*> {
 protected:
  static void prepare(Host& source, Host& destination) {
    schema::MigrateSetParameters parameters;
    parameters.max_bandwidth = 1 << 20;
    parameters.downtime_limit = 1;
    set(source, parameters);
    for (Host* const host : {&source, &destination}) host->set(Capability::postcopy_ram);
    for (std::uint64_t page = 0; page < source.guest.ram_blocks()[0].pages(); ++page)
      source.guest.write(0, page, static_cast<std::uint8_t>(page * 7 + 1));
  }

  /// True: there was an nth allocation.
  bool attempt(std::uint64_t n) {
    const std::string uri = directory_.uri("m" + std::to_string(n));
    LogCapture log;
    Host source({{"ram", 512}});
    Host destination({{"ram", 512}}, RunState::inmigrate);
    prepare(source, destination);
    bool happened = false;
    {
      const MemoryShortage shortage(GetParam(), n);
      EXPECT_TRUE(destination.migration.incoming(uri, destination.descriptors));
      EXPECT_TRUE(source.migrate(uri));
      source.recorder.wait_for_any({"active", "failed"}, 1);
      EXPECT_TRUE(source.migration.start_postcopy());
      source.recorder.wait_for_any({"completed", "failed", "postcopy-paused"}, 1);
      happened = shortage.happened();
    }
    const auto status = source.migration.info().status;
    if (status == schema::MigrationStatus::failed) {
      EXPECT_TRUE(happened) << log.text();
      EXPECT_EQ(source.guest.run_state(), RunState::running) << log.text();
      EXPECT_NE(destination.guest.run_state(), RunState::running) << log.text();
      return happened;
    }
    if (status == schema::MigrationStatus::postcopy_paused) {
      EXPECT_TRUE(happened) << log.text();
      destination.recorder.wait_for("postcopy-paused");
      EXPECT_THAT(log.text(), HasSubstr("Out of memory"));
      EXPECT_TRUE(destination.migration.recover(uri, destination.descriptors));
      EXPECT_TRUE(source.migrate(uri, true));
    }
    source.recorder.wait_for("completed");
    destination.recorder.wait_for("completed");
    EXPECT_EQ(destination.guest.run_state(), RunState::running) << log.text();
    EXPECT_TRUE(source.guest.same_memory(destination.guest));
    return happened;
  }
};

TEST_P(PostcopyExhaustionTest, OfAnyAllocationPausesAtMost) {
  walk([this](std::uint64_t n) { return attempt(n); });
}

INSTANTIATE_TEST_SUITE_P(Threads, PostcopyExhaustionTest,
                         ::testing::Values("migration", "incoming", "postcopy"),
                         [](const auto& test) { return test.param; });

/// A guest that runs at the destination while most of its pages are at the source, and the connection is
/// broken.
class PausedPostcopyTest : public PostcopyFixture {
 protected:
  void SetUp() override {
    PostcopyFixture::SetUp();
    if (IsSkipped()) return;
    schema::MigrateSetParameters slow;
    slow.max_bandwidth = 1 << 20;
    slow.downtime_limit = 1;
    slow.max_postcopy_bandwidth = 400'000;
    set(source_, slow);
    for (Host* const host : {&source_, &destination_}) host->set(Capability::postcopy_ram);
    for (std::uint64_t page = 0; page < kPages; ++page)
      source_.guest.write(0, page, static_cast<std::uint8_t>(page * 7 + 1));
    ASSERT_TRUE(destination_.migration.incoming(directory_.uri("m"), destination_.descriptors));
    ASSERT_TRUE(source_.migrate(directory_.uri("m")));
    source_.recorder.wait_for("active");
    ASSERT_TRUE(source_.migration.start_postcopy());
    destination_.recorder.wait_for("postcopy-active");
    ASSERT_TRUE(destination_.guest.wait_for(RunState::running));
    ASSERT_TRUE(source_.migration.pause());
    for (Host* const host : {&source_, &destination_}) host->recorder.wait_for("postcopy-paused");
  }
  Result<> recover(const std::string& name) {
    return destination_.migration.recover(directory_.uri(name), destination_.descriptors);
  }
  void expect_paused() {
    EXPECT_EQ(destination_.migration.info().status, schema::MigrationStatus::postcopy_paused);
    EXPECT_EQ(destination_.guest.run_state(), RunState::running);
  }
  void resume_and_finish(const std::string& name) {
    ASSERT_TRUE(recover(name));
    schema::MigrateSetParameters fast;
    fast.max_postcopy_bandwidth = 0;
    set(source_, fast);
    ASSERT_TRUE(source_.migrate(directory_.uri(name), true));
    for (Host* const host : {&source_, &destination_}) host->recorder.wait_for("completed");
    EXPECT_TRUE(source_.guest.same_memory(destination_.guest));
  }

  static constexpr std::uint64_t kPages = 1024;
  Host source_{{{"ram", kPages}}};
  Host destination_{{{"ram", kPages}}, RunState::inmigrate};
};

TEST_F(PausedPostcopyTest, AThreadThatCannotStartIsAnErrorOfTheCommand) {
  {
    const ThreadShortage shortage;
    const auto refused = recover("refused");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().what(), "cannot start the thread 'accept': Resource temporarily unavailable");
  }
  expect_paused();
  resume_and_finish("again");
}

TEST_F(PausedPostcopyTest, NoMemoryForACommandIsAnErrorOfTheCommand) {
  walk([this](std::uint64_t n) {
    bool happened = false;
    std::optional<Error> refused;
    {
      const MemoryShortage shortage("command", n);
      start_thread("command", [&](std::stop_token) {
        const auto done = or_exhausted([this] { return recover("refused"); });
        happened = shortage.happened();
        if (!done) refused = done.error();
      });
    }
    EXPECT_EQ(happened, refused.has_value());
    EXPECT_EQ(refused ? refused->what() : "Out of memory", "Out of memory");
    expect_paused();
    return happened;
  });
  resume_and_finish("again");
}

}  // namespace
}  // namespace godwit::engine
