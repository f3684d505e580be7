// The destination against sources that close, stall or send garbage at each step.
#include <array>
#include <chrono>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>

#include "channel/connector.h"
#include "channel/interrupt.h"
#include "engine/testing/host.h"
#include "engine/testing/hostile_peer.h"
#include "wire/header.h"
#include "wire/ram.h"
#include "wire/record.h"

namespace godwit::engine {
namespace {

using testing::Deed;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Host;
using ::testing::IsEmpty;
using testing::must;
using testing::Step;

struct Cell {
  Step step;
  Deed deed;
  bool runs;           ///< the guest, here
  bool let_in = true;  ///< it has shown a header
};

void PrintTo(const Cell& cell, std::ostream* out) {
  *out << to_string(cell.step) << " " << to_string(cell.deed);
}

constexpr std::uint64_t pages = 8;

/// A good stream without a description behind it, and how long it is at each step.
class Stream {
 public:
  explicit Stream(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {
    SpanInput in(bytes_);
    must(wire::decode_file_header(in));
    at(Step::header) = in.offset();
    must(wire::decode_configuration(in));
    at(Step::configuration) = in.offset();
    must(wire::decode_record_type(in));
    must(wire::decode_section_header(in));
    must(wire::decode_block_list(in, {.has_host_page_size = {}}));
    must(wire::decode_end_of_section(in));
    must(wire::decode_footer(in, 2));
    at(Step::block_list) = in.offset();
    at(Step::mid_page) =
        in.offset() + 1 + 4 + 8 + 4 + 100;  // type, section, record, "\3ram", a part of the page
    at(Step::before_eof) = bytes_.size() - 1;
    at(Step::after_eof) = bytes_.size();
  }

  std::span<const std::byte> until(Step step) const {
    return std::span(bytes_).first(lengths_[static_cast<std::size_t>(step)]);
  }

 private:
  std::size_t& at(Step step) { return lengths_[static_cast<std::size_t>(step)]; }

  std::vector<std::byte> bytes_;
  std::array<std::size_t, 7> lengths_{};
};

class HostileSource : public ::testing::TestWithParam<Cell> {
 protected:
  HostileSource() {
    for (std::uint64_t page = 0; page < pages; ++page)
      good_.guest.write(0, page, static_cast<std::uint8_t>(page + 1));
  }

  Stream record() {
    must(good_.migrate("file:" + directory_.file("stream")));
    good_.recorder.wait_for("completed");
    good_.migration.wait_until_idle();
    must(good_.guest.set_run_state(RunState::running));
    std::ifstream file(directory_.file("stream"), std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    const auto bytes = std::as_bytes(std::span(text));
    return Stream({bytes.begin(), bytes.end()});
  }

  static void listen(Host& host, const std::string& uri) {
    must(host.migration.incoming(uri, host.descriptors));
  }

  std::unique_ptr<channel::Channel> connect(const std::string& uri) {
    return must(
        channel::connect(must(channel::parse_address(uri, channel::Direction::outgoing)), none_, interrupt_));
  }

  test::TemporaryDirectory directory_;
  Host good_{{{"ram", pages}}, RunState::running, {.send_description = false}};
  NoDescriptors none_;
  channel::Interrupt interrupt_;
};

TEST_P(HostileSource, LeavesTheGuestWithOneOwner) {
  const Cell cell = GetParam();
  const auto stream = record();
  std::chrono::steady_clock::time_point ending;
  {
    Host destination({{"ram", pages}}, RunState::inmigrate);
    listen(destination, directory_.uri("hostile"));
    auto channel = connect(directory_.uri("hostile"));
    must(channel->write(stream.until(cell.step)));
    if (cell.deed == Deed::closes) channel.reset();
    // More than a page: what is only the contents of one cannot be told from a good one.
    if (cell.deed == Deed::sends_garbage)
      must(channel->write(std::vector<std::byte>(3 * page_size, std::byte{0xa5})));
    if (cell.deed == Deed::stalls) {
      if (cell.let_in) destination.recorder.wait_for("active");
      EXPECT_THAT(destination.guest.history(), IsEmpty());
    } else if (!cell.let_in) {
      // A stranger: listening goes on, and the real source gets in.
      must(good_.migrate(directory_.uri("hostile")));
      destination.recorder.wait_for("completed");
      good_.migration.wait_until_idle();
      EXPECT_TRUE(destination.guest.same_memory(good_.guest));
      must(good_.guest.set_run_state(RunState::running));
    } else if (cell.runs) {
      destination.recorder.wait_for("completed");
      EXPECT_THAT(destination.guest.history(), ElementsAre(RunState::running));
      EXPECT_TRUE(destination.guest.same_memory(good_.guest));
    } else {
      destination.recorder.wait_for("exit 1");
      EXPECT_THAT(destination.recorder.statuses(), ElementsAre("setup", "active", "failed", "exit 1"));
      EXPECT_THAT(destination.guest.history(), IsEmpty());
      EXPECT_THAT(destination.recorder.failure(), HasSubstr("destination, loading the guest"));
      EXPECT_THAT(destination.recorder.failure(), HasSubstr("offset 0x"));
    }
    ending = std::chrono::steady_clock::now();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - ending, std::chrono::seconds(1))
      << "a process that is told to end";
  // The source was not touched by it: another destination takes the guest.
  Host destination({{"ram", pages}}, RunState::inmigrate);
  listen(destination, directory_.uri("good"));
  must(good_.migrate(directory_.uri("good")));
  destination.recorder.wait_for("completed");
  EXPECT_TRUE(destination.guest.same_memory(good_.guest));
}

std::vector<Cell> cells() {
  using enum Step;
  using enum Deed;
  std::vector<Cell> cells;
  for (const auto step : {connect, header, configuration, block_list, mid_page, before_eof})
    for (const auto deed : {closes, stalls, sends_garbage})
      cells.push_back({step, deed, false, step != connect});
  // The guest is here: what comes behind the end of the stream does not matter to it.
  for (const auto deed : {closes, sends_garbage}) cells.push_back({after_eof, deed, true});
  return cells;
}

INSTANTIATE_TEST_SUITE_P(Steps, HostileSource, ::testing::ValuesIn(cells()), [](const auto& cell) {
  return to_string(cell.param.step) + to_string(cell.param.deed);
});

}  // namespace
}  // namespace godwit::engine
