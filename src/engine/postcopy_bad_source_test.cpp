// Postcopy from a source that says what it must not: it is refused with a reason, and the guest that runs
// keeps running.
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
using testing::FakeGuest;
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

struct Destination : Host {
  Destination() : Host({{"ram", kPages}}, RunState::inmigrate) { set(Capability::postcopy_ram); }
};

class LyingSource : public PostcopyFixture {
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
    EXPECT_TRUE(destination.migration.incoming(directory_.uri(name), destination.descriptors).has_value());
    return ScriptedPeer::connect(directory_.file(name));
  }
  /// Until the guest runs at the destination, with all pages missing.
  std::unique_ptr<ScriptedPeer> start(Destination& destination, std::optional<std::uint32_t> token = {}) {
    auto peer = connect(destination);
    begin(destination, *peer, token);
    return peer;
  }
  void begin(Destination& destination, ScriptedPeer& peer, std::optional<std::uint32_t> token) {
    Output out = beginning();
    if (token) {
      wire::encode_command(out, wire::Ping{hello});
      wire::encode_command(out, wire::Ping{*token});
    }
    wire::encode_command(out, advice());
    out.bytes(blocks().data());
    wire::encode_command(out, discard());
    out.bytes(package({wire::PostcopyListen{}, wire::Ping{3}, wire::PostcopyRun{}}).data());
    peer.send(out);
    EXPECT_TRUE(peer.wait_for(wire::Pong{3}));
    EXPECT_TRUE(destination.guest.wait_for(RunState::running));
  }
  /// A page as the second connection of postcopy-preempt brings it.
  static Output urgent_page(std::uint64_t number, int value) {
    Output out;
    std::array<std::byte, wire::page_header_limit> header;
    const auto length =
        wire::encode_page_header(header.data(), wire::PageKind::normal, number * page_size, false, "ram");
    out.bytes(std::span(header).first(length));
    for (std::uint64_t i = 0; i < page_size; ++i) out.u8(static_cast<std::uint8_t>(value));
    return out;
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
      peer = ScriptedPeer::connect(directory_.file("m"));
      lie(*peer);
      destination.recorder.wait_for("postcopy-recover", pauses);
      destination.recorder.wait_for("postcopy-paused", ++pauses);
      EXPECT_EQ(destination.guest.run_state(), RunState::running);
    }
    // And then the right one, beside one that says nothing at all.
    const auto silent = ScriptedPeer::connect(directory_.file("m"));
    peer = ScriptedPeer::connect(directory_.file("m"));
    peer->send(wire::Ping{0x80001234});
    peer->send(wire::ReceivedBitmapRequest{"ram"});
    peer->send(wire::PostcopyResume{});
    EXPECT_TRUE(peer->wait_for(wire::ResumeAck{1}));
    // Once more: what it said of that on the first connection may not have arrived.
    EXPECT_TRUE(peer->wait_for(wire::Pong{3}));
    destination.recorder.wait_for("postcopy-active", 2);
    peer->send(page(5, 0x55));
    EXPECT_EQ(std::to_integer<int>(destination.guest.ram_blocks()[0].host[5 * page_size]), 0x55);
  }
  EXPECT_THAT(log.text(), HasSubstr("not from the source of this guest"));
  EXPECT_THAT(log.text(), HasSubstr("RAM block 'other', which does not exist here"));
  EXPECT_THAT(log.text(), HasSubstr("before it has resumed"));
}

TEST_F(LyingSource, OfAnotherGuestHasNoUrgentConnectionEither) {
  constexpr std::uint32_t token = 0x80001234;
  const std::function<void(ScriptedPeer&)> lies[] = {
      [](ScriptedPeer& p) { p.send(urgent_page(5, 1)); },
      [](ScriptedPeer& p) { p.send(wire::Ping{token + 1}); },
      [](ScriptedPeer& p) { p.send(wire::PostcopyResume{}); },
  };
  for (const auto& lie : lies) {
    LogCapture log;
    {
      Destination destination;
      destination.set(Capability::postcopy_preempt);
      const auto peer = connect(destination);
      const auto stranger = ScriptedPeer::connect(directory_.file("m"));
      begin(destination, *peer, token);
      lie(*stranger);
      destination.recorder.wait_for("postcopy-paused");
      EXPECT_EQ(destination.guest.run_state(), RunState::running);
      EXPECT_FALSE(destination.guest.ram_blocks().empty());
    }
    EXPECT_THAT(log.text(), HasSubstr("The second connection is not from the source of this guest"));
  }
}

TEST_F(LyingSource, ThatShowsTheTokenOnBothConnectionsIsNone) {
  Destination destination;
  destination.set(Capability::postcopy_preempt);
  const auto peer = connect(destination);
  const auto urgent = ScriptedPeer::connect(directory_.file("m"));
  begin(destination, *peer, 0x80001234);
  urgent->send(wire::Ping{0x80001234});
  urgent->send(urgent_page(5, 0x55));
  EXPECT_EQ(std::to_integer<int>(destination.guest.ram_blocks()[0].host[5 * page_size]), 0x55);
}

}  // namespace
}  // namespace godwit::engine
