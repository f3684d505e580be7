// Postcopy to a destination that says what it must not: the source refuses it with a reason, never runs the
// guest a second time, and keeps its pages.
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>

#include "base/testing/temporary_directory.h"
#include "engine/device_state.h"
#include "engine/greeting.h"
#include "engine/testing/bad_peer.h"
#include "engine/testing/log_capture.h"
#include "engine/testing/postcopy_fixture.h"
#include "engine/testing/scripted_peer.h"
#include "wire/header.h"
#include "wire/ram.h"
#include "wire/record.h"

namespace godwit::engine {
namespace {

using testing::bytes;
using testing::Host;
using testing::kPages;
using testing::kSize;
using testing::LogCapture;
using testing::PostcopyFixture;
using testing::ScriptedListener;
using testing::ScriptedPeer;
using Capability = schema::MigrationCapability;
using enum schema::MigrationStatus;
using ::testing::HasSubstr;

struct Source : Host {
  Source() : Host({{"ram", kPages}}) {
    set(Capability::postcopy_ram);
    for (std::uint64_t page = 0; page < kPages; ++page) guest.write(0, page, 1);
    schema::MigrateSetParameters slow;
    slow.max_bandwidth = 1 << 16;
    slow.max_postcopy_bandwidth = 1;  // a page at a time, so that there is something to ask for
    EXPECT_TRUE(migration.set_parameters(slow).has_value());
  }
};

class LyingDestination : public PostcopyFixture {
 protected:
  /// Until postcopy was asked for; `first_words` is what the destination says before.
  std::unique_ptr<ScriptedPeer> begin(Source& source, std::optional<wire::Pong> first_words = std::nullopt) {
    EXPECT_TRUE(source.migrate(directory_.uri("m")).has_value());
    auto peer = listener_.accept();
    source.recorder.wait_for("active");
    if (first_words) peer->send(*first_words);
    EXPECT_TRUE(source.migration.start_postcopy().has_value());
    EXPECT_TRUE(peer->wait_for(wire::Ping{heartbeat}));
    return peer;
  }
  /// Until the guest stands still and the destination is asked whether it is ready.
  std::unique_ptr<ScriptedPeer> stop(Source& source, std::optional<wire::Pong> first_words = std::nullopt) {
    auto peer = begin(source, first_words);
    peer->send(wire::Pong{heartbeat});
    EXPECT_TRUE(peer->wait_for(wire::Ping{2}));
    return peer;
  }
  /// Until the guest has been handed over.
  std::unique_ptr<ScriptedPeer> start(Source& source) {
    auto peer = stop(source);
    peer->send(wire::Pong{2});
    EXPECT_TRUE(peer->wait_for(wire::PostcopyRun{}));
    return peer;
  }
  static void make_impatient(Source& source) {
    schema::MigrateSetParameters impatient;
    impatient.x_postcopy_timeout = 300;
    set(source, impatient);
  }
  void SetUp() override {}

  ScriptedListener listener_{directory_.file("m")};
};

wire::PageRequest request(std::uint64_t start, std::uint32_t length,
                          std::optional<std::string> block = "ram") {
  return {.start = start, .length = length, .block = std::move(block)};
}

TEST_F(LyingDestination, IsPausedAndTheGuestIsNotRunHere) {
  struct Case {
    std::function<void(ScriptedPeer&)> lie;
    std::string reason;
  };
  const Case cases[] = {
      {[](ScriptedPeer& p) { p.send(request(0, 4096, std::nullopt)); }, "asks for pages of no RAM block"},
      {[](ScriptedPeer& p) { p.send(request(0, 4096, "other")); },
       "RAM block 'other', which does not exist here"},
      {[](ScriptedPeer& p) { p.send(request(100, 4096)); }, "not whole pages"},
      {[](ScriptedPeer& p) { p.send(request(0, 100)); }, "not whole pages"},
      {[](ScriptedPeer& p) { p.send(request(0, 0)); }, "not whole pages"},
      {[](ScriptedPeer& p) { p.send(request(kSize, 4096)); }, "which has 0x100000 bytes"},
      {[](ScriptedPeer& p) { p.send(request(kSize - 4096, 8192)); }, "which has 0x100000 bytes"},
      {[](ScriptedPeer& p) { p.send(request(~0ull << 12, 8192)); }, "which has 0x100000 bytes"},
      {[](ScriptedPeer& p) { p.send(bytes({0, 99, 0, 0})); }, "expected a message from 1 to 7"},
      {[](ScriptedPeer& p) { p.send(bytes({0, 3, 2, 1})); }, "expected a length of at most 512"},
      {[](ScriptedPeer& p) { p.send(wire::Shut{0}); }, "before everything was sent"},
      {[](ScriptedPeer& p) { p.send(wire::Shut{1}); }, "could not load the guest"},
      {[](ScriptedPeer& p) { p.send(wire::ReceivedBitmap{"ram"}); }, "RECV_BITMAP is not expected"},
      {[](ScriptedPeer& p) { p.send(wire::ResumeAck{1}); }, "RESUME_ACK is not expected"},
      {[](ScriptedPeer& p) {
         for (int i = 0; i < 70'000; ++i) p.send(request(0, 4096));
       },
       "asks again and again"},
      {[](ScriptedPeer& p) { p.hang_up(); }, "the pages are kept"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.reason);
    LogCapture log;
    {
      Source source;
      const auto peer = start(source);
      c.lie(*peer);
      source.recorder.wait_for("postcopy-paused");
      EXPECT_EQ(source.guest.run_state(), RunState::finish_migrate);
      EXPECT_EQ(source.migration.info().status, postcopy_paused);
    }
    EXPECT_THAT(log.text(), HasSubstr(c.reason)) << log.text();
  }
}

TEST_F(LyingDestination, MayAskTwiceAndForPagesThatWereSent) {
  Source source;
  const auto peer = start(source);
  for (int i = 0; i < 3; ++i) peer->send(request(100 * page_size, 4096));
  peer->send(request(200 * page_size, 4096, std::nullopt));
  schema::MigrateSetParameters fast;
  fast.max_postcopy_bandwidth = 0;
  set(source, fast);
  Output end;
  wire::encode_end_of_section(end);
  wire::encode_footer(end, ram_section_id);
  wire::encode_eof(end);
  EXPECT_TRUE(peer->wait_for(end.data()));
  peer->send(wire::Shut{0});
  source.recorder.wait_for("completed");
  EXPECT_EQ(source.migration.info().ram->postcopy_requests, 4);
  EXPECT_EQ(source.migration.info().ram->normal, kPages);
}

TEST_F(LyingDestination, ThatHasSaidThatTheGuestRunsKeepsIt) {
  Source source;
  const auto peer = stop(source, wire::Pong{hello_answer});
  peer->send(wire::Pong{2});
  peer->send(wire::Pong{package_arrived});
  EXPECT_TRUE(peer->wait_for(wire::PostcopyRun{}));
  peer->send(wire::Pong{3});
  peer->send(wire::Shut{1});
  source.recorder.wait_for("postcopy-paused");
  EXPECT_EQ(source.guest.run_state(), RunState::finish_migrate);
}

TEST_F(LyingDestination, ThatNeverSawThePackageGivesTheGuestBack) {
  Source source;
  const auto peer = stop(source);
  peer->hang_up();
  source.recorder.wait_for("failed");
  EXPECT_EQ(source.guest.run_state(), RunState::running);
  EXPECT_FALSE(source.guest.tracker.running());
}

TEST_F(LyingDestination, ThatSaysNothingBeforeThePackageGivesTheGuestBack) {
  Source source;
  make_impatient(source);
  const auto peer = stop(source);
  source.recorder.wait_for("failed");
  EXPECT_EQ(source.guest.run_state(), RunState::running);
}

TEST_F(LyingDestination, ThatDoesNotSayThatItHasCaughtUpNeverStopsTheGuest) {
  Source source;
  make_impatient(source);
  const auto peer = begin(source);
  source.recorder.wait_for("failed");
  EXPECT_THAT(source.guest.history(), ::testing::IsEmpty());
}

TEST_F(LyingDestination, CannotResumeWithAWrongBitmap) {
  const auto bitmap = [](std::uint64_t pages, std::uint64_t word) {
    Output out;
    wire::encode_return_message(out, wire::ReceivedBitmap{"ram"});
    wire::encode_received_bitmap(out, std::vector<std::uint64_t>(pages / 64, word), pages);
    return out;
  };
  struct Case {
    std::function<void(ScriptedPeer&)> answer;
    std::string reason;
  };
  const Case cases[] = {
      {[&](ScriptedPeer& p) { p.send(bitmap(kPages / 2, 0)); }, "expected 32 bytes for 256 pages"},
      {[&](ScriptedPeer& p) { p.send(bitmap(kPages, ~0ull)); }, "that were never sent"},
      {[&](ScriptedPeer& p) {
         Output out;
         wire::encode_return_message(out, wire::ReceivedBitmap{"other"});
         p.send(out);
       },
       "a bitmap of RAM block 'other'"},
      {[&](ScriptedPeer& p) { p.send(wire::Shut{0}); }, "SHUT is not expected"},
      {[&](ScriptedPeer& p) {
         p.send(bitmap(kPages, 0));
         EXPECT_TRUE(p.wait_for(wire::PostcopyResume{}));
         p.send(wire::ResumeAck{0});
       },
       "RESUME_ACK 0"},
      {[&](ScriptedPeer& p) { p.hang_up(); }, "source, resuming"},
  };
  LogCapture log;
  std::string all;
  {
    Source source;
    auto peer = start(source);
    peer->hang_up();
    source.recorder.wait_for("postcopy-paused");
    int pauses = 1;
    for (const Case& c : cases) {
      SCOPED_TRACE(c.reason);
      ASSERT_TRUE(source.migrate(directory_.uri("m"), true).has_value());
      peer = listener_.accept();
      EXPECT_TRUE(peer->wait_for(wire::ReceivedBitmapRequest{"ram"}));
      c.answer(*peer);
      source.recorder.wait_for("postcopy-paused", ++pauses);
      EXPECT_EQ(source.guest.run_state(), RunState::finish_migrate);
    }
    // And then the right one.
    ASSERT_TRUE(source.migrate(directory_.uri("m"), true).has_value());
    peer = listener_.accept();
    EXPECT_TRUE(peer->wait_for(wire::ReceivedBitmapRequest{"ram"}));
    peer->send(bitmap(kPages, 0));
    EXPECT_TRUE(peer->wait_for(wire::PostcopyResume{}));
    peer->send(wire::ResumeAck{1});
    source.recorder.wait_for("postcopy-active", 2);
  }
  for (const Case& c : cases) EXPECT_THAT(log.text(), HasSubstr(c.reason));
}

// It loads the package after the connection broke: what it says of that comes over the next one.
TEST_F(LyingDestination, ThatSaysOnlyWhenResumedThatTheGuestRunsKeepsIt) {
  Source source;
  auto peer = start(source);
  peer->hang_up();
  source.recorder.wait_for("postcopy-paused");
  ASSERT_TRUE(source.migrate(directory_.uri("m"), true).has_value());
  peer = listener_.accept();
  EXPECT_TRUE(peer->wait_for(wire::ReceivedBitmapRequest{"ram"}));
  peer->send(wire::Pong{3});
  peer->hang_up();
  source.recorder.wait_for("postcopy-paused", 2);
  EXPECT_FALSE(source.migration.cancel().has_value());
  EXPECT_EQ(source.guest.run_state(), RunState::finish_migrate);
}

TEST_F(LyingDestination, ThatSaysNothingWhenResumedIsGivenUp) {
  Source source;
  make_impatient(source);
  auto peer = start(source);
  peer->hang_up();
  source.recorder.wait_for("postcopy-paused");
  ASSERT_TRUE(source.migrate(directory_.uri("m"), true).has_value());
  peer = listener_.accept();
  source.recorder.wait_for("postcopy-paused", 2);
}

}  // namespace
}  // namespace godwit::engine
