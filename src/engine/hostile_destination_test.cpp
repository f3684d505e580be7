// The source against destinations that close, stall or send garbage at each step: who runs the guest, what
// the status says, that cancelling takes no time, that another attempt works.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>

#include "base/thread.h"
#include "channel/channel_input.h"
#include "channel/listener.h"
#include "engine/device_state.h"
#include "engine/testing/host.h"
#include "engine/testing/hostile_peer.h"
#include "wire/command.h"
#include "wire/header.h"
#include "wire/ram.h"
#include "wire/record.h"
#include "wire/return_path.h"

namespace godwit::engine {
namespace {

using testing::Deed;
using testing::FakeGuest;
using ::testing::HasSubstr;
using testing::Host;
using testing::must;
using testing::Step;
using Capability = schema::MigrationCapability;

/// Where the guest is when it is over.
enum class Outcome : std::uint8_t {
  runs_here,     ///< failed, and the guest runs on
  stands_still,  ///< failed behind the hand-over: nobody here knows who runs it
  gone,          ///< completed
};

struct Cell {
  Step step;
  Deed deed;
  bool return_path;
  Outcome outcome;
  std::string text{};  ///< part of the error
};

void PrintTo(const Cell& cell, std::ostream* out) {
  *out << to_string(cell.step) << " " << to_string(cell.deed) << (cell.return_path ? " with" : " without")
       << " a return path";
}

/// A destination that reads a real stream up to the step and then does the deed. Ends when the connection
/// does.
class Destination {
 public:
  Destination(const std::string& uri, const Cell& cell, FakeGuest& guest)
      : cell_(cell),
        guest_(guest),
        listener_(must(
            channel::listen(must(channel::parse_address(uri, channel::Direction::incoming)), none_, 1))) {
    thread_ = start_thread("hostile", [this](std::stop_token) { run(); });
  }
  ~Destination() {
    listener_->close();
    if (thread_.joinable()) thread_.join();
  }

  /// The deed is done, or begun.
  void wait_for_deed() const { done_.wait(); }

 private:
  void run() {
    auto accepted = listener_->accept();
    if (!accepted) return done_.set();
    channel_ = *std::move(accepted);
    try {
      read_to_step();
    } catch (const std::exception& error) {
      ADD_FAILURE() << "the stream of the source: " << error.what();
    }
    act();
    done_.set();
    if (cell_.deed == Deed::closes) return channel_.reset();
    // Neither reads nor closes before the source does.
    (void)channel_->wait_for_peer_close(std::chrono::minutes(2));
    channel_.reset();
  }

  void read_to_step() {
    if (cell_.step == Step::connect) return;
    in_ = std::make_unique<channel::ChannelInput>(*channel_, Input::window_limit);
    must(wire::decode_file_header(*in_));
    if (cell_.step == Step::header) return;
    must(wire::decode_configuration(*in_));
    if (cell_.step == Step::configuration) return;
    while (!record()) continue;
  }

  /// True at the step.
  bool record() {
    const auto type = must(wire::decode_record_type(*in_));
    switch (type) {
      case wire::RecordType::command:
        return command(must(wire::decode_command(*in_)));
      case wire::RecordType::section_start:
        must(wire::decode_section_header(*in_));
        must(wire::decode_block_list(*in_, {.has_host_page_size = {}}));
        must(wire::decode_end_of_section(*in_));
        must(wire::decode_footer(*in_, 2));
        return cell_.step == Step::block_list;
      case wire::RecordType::section_part:
      case wire::RecordType::section_end:
        must(wire::decode_section_id(*in_));
        return pages();
      case wire::RecordType::section_full: {
        const auto header = must(wire::decode_section_header(*in_));
        must(load_device(guest_, header, *in_, loaded_));
        must(wire::decode_footer(*in_, header.id));
        return false;
      }
      case wire::RecordType::eof:
        return true;
      default:
        throw std::runtime_error("a record that has no place here");
    }
  }

  bool command(const wire::Command& command) {
    const auto* ping = std::get_if<wire::Ping>(&command);
    if (ping == nullptr) return false;
    // The last look of the source comes behind everything but the end of the stream.
    if (cell_.step == Step::before_eof && ping->value != 1) return true;
    say(wire::Pong{ping->value});
    return false;
  }

  bool pages() {
    for (;;) {
      const auto record = must(reader_.next(*in_));
      if (record.kind == wire::PageKind::end_of_section) break;
      if (record.kind != wire::PageKind::normal) continue;
      must(in_->discard(cell_.step == Step::mid_page ? 100 : page_size));
      if (cell_.step == Step::mid_page) return true;
    }
    must(wire::decode_footer(*in_, 2));
    return false;
  }

  void say(const wire::ReturnMessage& message) {
    Output out;
    wire::encode_return_message(out, message);
    write(out.data());
  }

  void act() {
    if (cell_.deed == Deed::says_it_failed) say(wire::Shut{1});
    if (cell_.deed == Deed::says_it_runs) say(wire::Shut{0});
    if (cell_.deed == Deed::sends_a_page_wish)
      say(wire::PageRequest{.start = 0, .length = 4096, .block = "ram"});
    if (cell_.deed == Deed::sends_garbage) write(std::vector<std::byte>(600, std::byte{0xa5}));
  }

  void write(std::span<const std::byte> bytes) {
    // The source may have gone already: that is what some cells are about.
    (void)channel_->write(bytes);
  }

  const Cell cell_;
  FakeGuest& guest_;
  NoDescriptors none_;
  std::unique_ptr<channel::Listener> listener_;
  std::unique_ptr<channel::Channel> channel_;
  std::unique_ptr<channel::ChannelInput> in_;
  wire::PageReader reader_{[](std::string_view) { return wire::KnownBlock{0, std::uint64_t{1} << 30}; }};
  LoadedState loaded_;
  Event done_;
  std::jthread thread_;  // last: it uses the members above
};

std::vector<Cell> cells() {
  using enum Step;
  using enum Deed;
  using enum Outcome;
  std::vector<Cell> cells;
  for (const auto step : {connect, header, configuration, block_list, mid_page}) {
    // Without a return path only the connection itself can tell; with one the destination is listened to.
    cells.push_back({step, closes, false, runs_here, "Unable to write to socket"});
    cells.push_back({step, stalls, false, runs_here});
    cells.push_back({step, closes, true, runs_here});
    cells.push_back({step, stalls, true, runs_here});
    cells.push_back({step, sends_garbage, true, runs_here, "return path"});
    cells.push_back({step, says_it_failed, true, runs_here, "could not load the guest"});
    cells.push_back({step, says_it_runs, true, runs_here});
    cells.push_back({step, sends_a_page_wish, true, runs_here, "is not expected in precopy"});
  }
  // No PONG: the guest stands still, and is ours.
  cells.push_back({before_eof, closes, true, runs_here});
  cells.push_back({before_eof, stalls, true, runs_here});
  cells.push_back({before_eof, sends_garbage, true, runs_here, "return path"});
  cells.push_back({before_eof, says_it_failed, true, runs_here, "could not load the guest"});
  cells.push_back({before_eof, says_it_runs, true, runs_here});
  cells.push_back({before_eof, sends_a_page_wish, true, runs_here, "is not expected in precopy"});
  // Behind the hand-over only the destination's own word brings the guest back.
  const std::string unknown = "The destination may be running the guest";
  cells.push_back({after_eof, closes, true, stands_still, unknown});
  cells.push_back({after_eof, stalls, true, stands_still});
  cells.push_back({after_eof, sends_garbage, true, stands_still, unknown});
  cells.push_back({after_eof, sends_a_page_wish, true, stands_still, unknown});
  cells.push_back({after_eof, says_it_failed, true, runs_here, "could not load the guest"});
  cells.push_back({after_eof, says_it_runs, true, gone});
  cells.push_back({after_eof, closes, false, gone});
  cells.push_back({after_eof, stalls, false, gone});
  cells.push_back({after_eof, sends_garbage, false, gone});
  return cells;
}

class HostileDestination : public ::testing::TestWithParam<Cell> {
 protected:
  /// Small enough to fit into the socket where the source shall come to its end, large where it shall not.
  std::uint64_t pages() const {
    return GetParam().return_path || GetParam().step >= Step::before_eof ? 8 : 4096;
  }

  /// With a destination that does what it should. A guest that may run elsewhere has to be let run here
  /// first.
  void try_again() {
    const auto uri = directory_.uri("good");
    if (GetParam().outcome != Outcome::runs_here) {
      EXPECT_THAT(source_.migrate(uri).error().what(), HasSubstr("paused due to previous migration"));
      ASSERT_TRUE(source_.guest.set_run_state(RunState::running));
    }
    Host destination({{"ram", pages()}}, RunState::inmigrate);
    ASSERT_TRUE(destination.migration.incoming(uri, destination.descriptors));
    ASSERT_TRUE(source_.migrate(uri));
    destination.recorder.wait_for("completed");
    source_.migration.wait_until_idle();
    EXPECT_TRUE(source_.guest.same_memory(destination.guest));
    EXPECT_EQ(destination.guest.run_state(), RunState::running);
  }

  test::TemporaryDirectory directory_;
  Host source_{{{"ram", pages()}}};
  FakeGuest sink_{{{"ram", 1}}, RunState::inmigrate};
};

TEST_P(HostileDestination, LeavesTheGuestWithOneOwner) {
  const Cell cell = GetParam();
  for (std::uint64_t page = 0; page < pages(); ++page)
    source_.guest.write(0, page, static_cast<std::uint8_t>(page % 255 + 1));
  source_.set(Capability::return_path, cell.return_path);
  {
    Destination destination(directory_.uri("hostile"), cell, sink_);
    ASSERT_TRUE(source_.migrate(directory_.uri("hostile")));
    destination.wait_for_deed();
    const bool has_to_be_cancelled = cell.deed == Deed::stalls && cell.outcome != Outcome::gone;
    if (has_to_be_cancelled) {
      const auto start = std::chrono::steady_clock::now();
      source_.migration.cancel();
      source_.recorder.wait_for("cancelled");
      EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
    } else {
      source_.recorder.wait_for(cell.outcome == Outcome::gone ? "completed" : "failed");
    }
    source_.migration.wait_until_idle();
  }
  EXPECT_FALSE(source_.guest.tracker.running());
  const auto history = source_.guest.history();
  if (cell.outcome == Outcome::runs_here) {
    EXPECT_EQ(source_.guest.run_state(), RunState::running);
  } else {
    EXPECT_EQ(source_.guest.run_state(), RunState::postmigrate);
    EXPECT_EQ(std::ranges::count(history, RunState::running), 0) << "it never ran again here";
  }
  EXPECT_THAT(source_.migration.info().error_desc.value_or(""), HasSubstr(cell.text));
  try_again();
}

INSTANTIATE_TEST_SUITE_P(Steps, HostileDestination, ::testing::ValuesIn(cells()), [](const auto& cell) {
  return to_string(cell.param.step) + to_string(cell.param.deed) +
         (cell.param.return_path ? "" : "WithoutReturnPath");
});

}  // namespace
}  // namespace godwit::engine
