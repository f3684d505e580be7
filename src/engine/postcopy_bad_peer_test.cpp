// Postcopy with a peer that says what it must not: it is refused with a reason, and the guest that runs keeps
// running.
#include <filesystem>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/device_state.h"
#include "engine/greeting.h"
#include "engine/testing/host.h"
#include "engine/testing/log_capture.h"
#include "engine/testing/scripted_peer.h"
#include "memory/postcopy_memory.h"
#include "wire/header.h"
#include "wire/ram.h"
#include "wire/record.h"

namespace godwit::engine {
namespace {

using testing::FakeGuest;
using testing::Host;
using testing::LogCapture;
using testing::ScriptedListener;
using testing::ScriptedPeer;
using Capability = schema::MigrationCapability;
using enum schema::MigrationStatus;
using ::testing::HasSubstr;

constexpr std::uint64_t kPages = 256;
constexpr std::uint64_t kSize = kPages * page_size;

class BadPeerTest : public ::testing::Test {
 protected:
  BadPeerTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "godwit-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~BadPeerTest() override { std::filesystem::remove_all(directory_); }
  void SetUp() override {
    const FakeGuest guest;
    if (auto possible = memory::PostcopyMemory::check(guest.ram_blocks()); !possible)
      GTEST_SKIP() << possible.error().explain();
  }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  static void set(Host& host, const schema::MigrateSetParameters& changes) {
    ASSERT_TRUE(host.migration.set_parameters(changes).has_value());
  }

  std::string directory_;
};

// ---- the source, and a destination that lies

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

class LyingDestination : public BadPeerTest {
 protected:
  /// Until the guest has been handed over.
  std::unique_ptr<ScriptedPeer> start(Source& source) {
    EXPECT_TRUE(source.migrate("unix:" + path("m")).has_value());
    auto peer = listener_.accept();
    source.recorder.wait_for("active");
    EXPECT_TRUE(source.migration.start_postcopy().has_value());
    EXPECT_TRUE(peer->wait_for(wire::Ping{2}));
    peer->send(wire::Pong{2});
    EXPECT_TRUE(peer->wait_for(wire::PostcopyRun{}));
    return peer;
  }
  void SetUp() override {}

  ScriptedListener listener_{path("m")};
};

wire::PageRequest request(std::uint64_t start, std::uint32_t length,
                          std::optional<std::string> block = "ram") {
  return {.start = start, .length = length, .block = std::move(block)};
}

Output bytes(std::initializer_list<int> values) {
  Output out;
  for (const int value : values) out.u8(static_cast<std::uint8_t>(value));
  return out;
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

TEST_F(LyingDestination, ThatNeverSawThePackageGivesTheGuestBack) {
  Source source;
  ASSERT_TRUE(source.migrate("unix:" + path("m")).has_value());
  auto peer = listener_.accept();
  source.recorder.wait_for("active");
  ASSERT_TRUE(source.migration.start_postcopy().has_value());
  EXPECT_TRUE(peer->wait_for(wire::Ping{2}));
  peer->hang_up();
  source.recorder.wait_for("failed");
  EXPECT_EQ(source.guest.run_state(), RunState::running);
  EXPECT_FALSE(source.guest.tracker.running());
}

TEST_F(LyingDestination, ThatSaysNothingBeforeThePackageGivesTheGuestBack) {
  Source source;
  schema::MigrateSetParameters impatient;
  impatient.x_postcopy_timeout = 300;
  set(source, impatient);
  ASSERT_TRUE(source.migrate("unix:" + path("m")).has_value());
  auto peer = listener_.accept();
  source.recorder.wait_for("active");
  ASSERT_TRUE(source.migration.start_postcopy().has_value());
  EXPECT_TRUE(peer->wait_for(wire::Ping{2}));
  source.recorder.wait_for("failed");
  EXPECT_EQ(source.guest.run_state(), RunState::running);
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
      ASSERT_TRUE(source.migrate("unix:" + path("m"), true).has_value());
      peer = listener_.accept();
      EXPECT_TRUE(peer->wait_for(wire::ReceivedBitmapRequest{"ram"}));
      c.answer(*peer);
      source.recorder.wait_for("postcopy-paused", ++pauses);
      EXPECT_EQ(source.guest.run_state(), RunState::finish_migrate);
    }
    // And then the right one.
    ASSERT_TRUE(source.migrate("unix:" + path("m"), true).has_value());
    peer = listener_.accept();
    EXPECT_TRUE(peer->wait_for(wire::ReceivedBitmapRequest{"ram"}));
    peer->send(bitmap(kPages, 0));
    EXPECT_TRUE(peer->wait_for(wire::PostcopyResume{}));
    peer->send(wire::ResumeAck{1});
    source.recorder.wait_for("postcopy-active", 2);
  }
  for (const Case& c : cases) EXPECT_THAT(log.text(), HasSubstr(c.reason));
}

TEST_F(LyingDestination, ThatSaysNothingWhenResumedIsGivenUp) {
  Source source;
  schema::MigrateSetParameters impatient;
  impatient.x_postcopy_timeout = 300;
  set(source, impatient);
  auto peer = start(source);
  peer->hang_up();
  source.recorder.wait_for("postcopy-paused");
  ASSERT_TRUE(source.migrate("unix:" + path("m"), true).has_value());
  peer = listener_.accept();
  source.recorder.wait_for("postcopy-paused", 2);
}

// ---- the destination, and a source that lies

struct Destination : Host {
  Destination() : Host({{"ram", kPages}}, RunState::inmigrate) { set(Capability::postcopy_ram); }
};

class LyingSource : public BadPeerTest {
 protected:
  static Output beginning() {
    Output out;
    wire::encode_file_header(out);
    wire::Configuration configuration;
    configuration.machine = "fake";
    wire::encode_configuration(out, configuration);
    wire::encode_command(out, wire::OpenReturnPath{});
    wire::encode_command(out, wire::Ping{1});
    return out;
  }
  static wire::PostcopyAdvise advice(std::uint64_t host = 4096) {
    return {.page_sizes = wire::PostcopyAdvise::PageSizes{.host_summary = host, .target = 4096}};
  }
  static Output blocks() {
    Output out;
    wire::encode_section_header(out, wire::RecordType::section_start,
                                {.id = 2, .name = "ram", .instance = 0, .version = 4});
    const wire::BlockEntry entry{.name = "ram", .length = kSize, .host_page_size = {}, .guest_address = {}};
    wire::encode_block_list(out, {&entry, 1});
    wire::encode_end_of_section(out);
    wire::encode_footer(out, 2);
    return out;
  }
  static wire::PostcopyDiscard discard(std::uint64_t start = 0, std::uint64_t length = kSize) {
    return {.block = "ram", .ranges = {{start, length}}};
  }
  static Output package(const std::vector<wire::Command>& commands, bool devices = true) {
    Output inner;
    for (const auto& command : commands) {
      wire::encode_command(inner, command);
      if (devices && std::holds_alternative<wire::PostcopyListen>(command)) {
        FakeGuest guest;
        EXPECT_TRUE(save_devices(guest, RunState::running, {}, inner).has_value());
      }
    }
    Output out;
    wire::encode_command(out, wire::Packaged{static_cast<std::uint32_t>(inner.size())});
    out.bytes(inner.data());
    return out;
  }
  static Output page(std::uint64_t number, int value, const std::string& block = "ram",
                     wire::PageKind kind = wire::PageKind::normal) {
    Output out;
    wire::encode_section_id(out, wire::RecordType::section_part, 2);
    std::array<std::byte, wire::page_header_limit> header;
    const auto length = wire::encode_page_header(header.data(), kind, number * page_size, false, block);
    out.bytes(std::span(header).first(length));
    for (std::uint64_t i = 0; i < page_size; ++i) out.u8(static_cast<std::uint8_t>(value));
    wire::encode_end_of_section(out);
    wire::encode_footer(out, 2);
    return out;
  }
  std::unique_ptr<ScriptedPeer> connect(Destination& destination, const std::string& name = "m") {
    EXPECT_TRUE(destination.migration.incoming("unix:" + path(name), destination.descriptors).has_value());
    return ScriptedPeer::connect(path(name));
  }
  /// Until the guest runs at the destination, with all pages missing.
  std::unique_ptr<ScriptedPeer> start(Destination& destination, std::optional<std::uint32_t> token = {}) {
    auto peer = connect(destination);
    Output out = beginning();
    if (token) {
      wire::encode_command(out, wire::Ping{hello});
      wire::encode_command(out, wire::Ping{*token});
    }
    wire::encode_command(out, advice());
    out.bytes(blocks().data());
    wire::encode_command(out, discard());
    out.bytes(package({wire::PostcopyListen{}, wire::Ping{3}, wire::PostcopyRun{}}).data());
    peer->send(out);
    EXPECT_TRUE(peer->wait_for(wire::Pong{3}));
    EXPECT_TRUE(destination.guest.wait_for(RunState::running));
    return peer;
  }
};

TEST_F(LyingSource, BeforeTheGuestRunsEndsTheAttempt) {
  using Lie = std::function<void(ScriptedPeer&)>;
  struct Case {
    Lie lie;
    std::string reason;
  };
  const Case cases[] = {
      {[](ScriptedPeer& p) { p.send(advice(0x201000)); }, "RAM of the same page sizes"},
      {[](ScriptedPeer& p) { p.send(wire::PostcopyAdvise{}); }, "announces no postcopy of RAM"},
      {[](ScriptedPeer& p) {
         p.send(advice());
         p.send(advice());
       },
       "a second time"},
      {[](ScriptedPeer& p) {
         p.send(blocks());
         p.send(advice());
       },
       "after its list of RAM blocks"},
      {[](ScriptedPeer& p) { p.send(discard()); }, "nothing to drop"},
      {[](ScriptedPeer& p) {
         p.send(advice());
         p.send(blocks());
         p.send(discard(100, 4096));
       },
       "in pages of 0x1000"},
      {[](ScriptedPeer& p) {
         p.send(advice());
         p.send(blocks());
         p.send(discard(0, kSize + 4096));
       },
       "which has 0x100000 bytes"},
      {[](ScriptedPeer& p) {
         p.send(advice());
         p.send(blocks());
         p.send(wire::PostcopyDiscard{.block = "other", .ranges = {{0, 4096}}});
       },
       "RAM block 'other'"},
      {[](ScriptedPeer& p) {
         p.send(advice());
         p.send(blocks());
         p.send(wire::PostcopyListen{});
       },
       "POSTCOPY_LISTEN at offset"},
      {[](ScriptedPeer& p) {
         p.send(advice());
         p.send(blocks());
         p.send(package({wire::PostcopyRun{}}));
       },
       "before it goes into postcopy"},
      {[](ScriptedPeer& p) {
         p.send(advice());
         p.send(blocks());
         p.send(package({wire::PostcopyListen{}}));
       },
       "the stream ends"},
      {[](ScriptedPeer& p) {
         p.send(advice());
         p.send(blocks());
         p.send(package({wire::Packaged{0}}));
       },
       "a package in a package"},
      {[](ScriptedPeer& p) {
         p.send(blocks());
         p.send(package({wire::PostcopyListen{}, wire::PostcopyRun{}}));
       },
       "which it has not announced"},
      {[](ScriptedPeer& p) { p.send(wire::PostcopyResume{}); }, "POSTCOPY_RESUME"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.reason);
    LogCapture log;
    Destination destination;
    const auto peer = connect(destination);
    peer->send(beginning());
    c.lie(*peer);
    destination.recorder.wait_for("exit 1");
    EXPECT_THAT(destination.recorder.failure(), HasSubstr(c.reason));
    EXPECT_TRUE(destination.guest.history().empty());
  }
}

TEST_F(LyingSource, IsPausedAndTheGuestRunsOn) {
  const auto with_footer = [](std::uint32_t id) {
    Output out;
    wire::encode_section_id(out, wire::RecordType::section_part, 2);
    wire::encode_end_of_section(out);
    wire::encode_footer(out, id);
    return out;
  };
  struct Case {
    Output lie;
    std::string reason;
  };
  Output end;
  wire::encode_eof(end);
  Output run;
  wire::encode_command(run, wire::PostcopyRun{});
  Output section;
  wire::encode_section_id(section, wire::RecordType::section_part, 7);
  Output damaged;
  wire::encode_section_id(damaged, wire::RecordType::section_part, 2);
  std::array<std::byte, wire::page_header_limit + 4 + 20> compressed{};
  auto length = wire::encode_page_header(compressed.data(), wire::PageKind::compressed, 0, false, "ram");
  length += wire::encode_payload_length(compressed.data() + length, wire::PageKind::compressed, 20);
  damaged.bytes(std::span(compressed).first(length + 20));
  const Case cases[] = {
      {damaged, "compressed page: damaged data"},
      {page(0, 1, "other"), "RAM block 'other' does not exist here"},
      {page(kPages, 1), "offset"},
      {page(0, 1, "ram", wire::PageKind::xbzrle), "in a way that postcopy does not know"},
      {with_footer(3), "footer"},
      {section, "section number 7"},
      {run, "POSTCOPY_RUN, which has no place in postcopy"},
      {end, "pages have not come"},
      {bytes({0x77}), "got type byte 0x77"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.reason);
    LogCapture log;
    {
      Destination destination;
      const auto peer = start(destination);
      peer->send(page(5, 0x55));
      peer->send(c.lie);
      destination.recorder.wait_for("postcopy-paused");
      EXPECT_EQ(destination.guest.run_state(), RunState::running);
      EXPECT_EQ(std::to_integer<int>(destination.guest.ram_blocks()[0].host[5 * page_size]), 0x55);
    }
    EXPECT_THAT(log.text(), HasSubstr(c.reason)) << log.text();
  }
}

TEST_F(LyingSource, CannotOverwriteWhatTheGuestHas) {
  Destination destination;
  const auto peer = start(destination);
  peer->send(page(5, 0x55));
  std::byte* at = destination.guest.ram_blocks()[0].host + 5 * page_size;
  EXPECT_EQ(std::to_integer<int>(*at), 0x55);
  *at = std::byte{0x77};
  peer->send(page(5, 0x66));
  peer->send(wire::Ping{9});
  EXPECT_TRUE(peer->wait_for(wire::Pong{9}));
  EXPECT_EQ(std::to_integer<int>(*at), 0x77);
  EXPECT_EQ(destination.migration.info().status, postcopy_active);
}

TEST_F(LyingSource, OfAnotherGuestCannotResume) {
  LogCapture log;
  {
    Destination destination;
    schema::MigrateSetParameters impatient;
    impatient.x_postcopy_timeout = 300;
    set(destination, impatient);
    auto peer = start(destination, 0x80001234);
    EXPECT_TRUE(peer->wait_for(wire::Pong{hello_answer}));
    peer->hang_up();
    destination.recorder.wait_for("postcopy-paused");
    int pauses = 1;
    const std::function<void(ScriptedPeer&)> lies[] = {
        [](ScriptedPeer& p) { p.send(wire::ReceivedBitmapRequest{"ram"}); },
        [](ScriptedPeer& p) {
          p.send(wire::Ping{0x80009999});
          p.send(wire::PostcopyResume{});
        },
        [](ScriptedPeer& p) {
          p.send(wire::Ping{0x80001234});
          p.send(wire::ReceivedBitmapRequest{"other"});
        },
        [](ScriptedPeer& p) {
          p.send(wire::Ping{0x80001234});
          p.send(page(5, 1));
        },
        [](ScriptedPeer& p) { p.send(beginning()); },
    };
    for (const auto& lie : lies) {
      peer = ScriptedPeer::connect(path("m"));
      lie(*peer);
      destination.recorder.wait_for("postcopy-recover", pauses);
      destination.recorder.wait_for("postcopy-paused", ++pauses);
      EXPECT_EQ(destination.guest.run_state(), RunState::running);
    }
    // And then the right one, beside one that says nothing at all.
    const auto silent = ScriptedPeer::connect(path("m"));
    peer = ScriptedPeer::connect(path("m"));
    peer->send(wire::Ping{0x80001234});
    peer->send(wire::ReceivedBitmapRequest{"ram"});
    peer->send(wire::PostcopyResume{});
    EXPECT_TRUE(peer->wait_for(wire::ResumeAck{1}));
    destination.recorder.wait_for("postcopy-active", 2);
    peer->send(page(5, 0x55));
    EXPECT_EQ(std::to_integer<int>(destination.guest.ram_blocks()[0].host[5 * page_size]), 0x55);
  }
  EXPECT_THAT(log.text(), HasSubstr("not from the source of this guest"));
  EXPECT_THAT(log.text(), HasSubstr("RAM block 'other', which does not exist here"));
  EXPECT_THAT(log.text(), HasSubstr("pages before it has resumed"));
}

}  // namespace
}  // namespace godwit::engine
