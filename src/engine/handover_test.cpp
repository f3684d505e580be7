// Who has the guest after each step of a postcopy, when the connection breaks there, or one side dies: the
// table of docs/handover.md, cell by cell.
#include <cstdlib>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <random>

#include "engine/device_state.h"
#include "engine/testing/cut_proxy.h"
#include "engine/testing/postcopy_fixture.h"
#include "wire/command.h"
#include "wire/header.h"
#include "wire/ram.h"
#include "wire/record.h"
#include "wire/return_path.h"

namespace godwit::engine {
namespace {

using testing::CutProxy;
using testing::FakeGuest;
using testing::Host;
using Capability = schema::MigrationCapability;
using enum schema::MigrationStatus;

using Bytes = std::vector<std::byte>;

template <typename Encode>
Bytes encoded(Encode encode) {
  Output out;
  encode(out);
  return {out.data().begin(), out.data().end()};
}
Bytes command(const wire::Command& c) {
  return encoded([&](Output& out) { wire::encode_command(out, c); });
}
Bytes answer(const wire::ReturnMessage& m) {
  return encoded([&](Output& out) { wire::encode_return_message(out, m); });
}
/// The first bytes of a command, whatever its content.
Bytes command_head(int number) {
  return {std::byte{8}, std::byte{0}, static_cast<std::byte>(number)};
}
Bytes section(wire::RecordType type) {
  return encoded([&](Output& out) { wire::encode_section_id(out, type, ram_section_id); });
}
Bytes end_of_stream() {
  return encoded([](Output& out) {
    wire::encode_section_id(out, wire::RecordType::section_end, ram_section_id);
    wire::encode_end_of_section(out);
    wire::encode_footer(out, ram_section_id);
    wire::encode_eof(out);
  });
}

/// Where a connection breaks: so many bytes after the first appearance of a pattern.
struct Place {
  enum class Way { sent, answered } way = Way::sent;
  Bytes pattern;
  std::uint64_t count = 0;
};

/// What is left behind.
enum class Left {
  runs_at_source,  ///< as if nothing had been tried; the destination has ended
  nowhere,  ///< it stands still at the source, which does not run it by itself; the destination has ended
  runs_at_destination  ///< the source keeps the missing pages
};

struct Step {
  const char* name;
  Place place;
  Left left;
  bool may_be_complete = false;  ///< the destination may have all, and know it
  bool in_precopy = false;       ///< before postcopy is asked for
};

const Step kSteps[] = {
    {"setup", {Place::Way::sent, {}, 12}, Left::runs_at_source},
    {"block list",
     {Place::Way::sent, section(wire::RecordType::section_start), 30},
     Left::runs_at_source,
     false,
     true},
    {"precopy",
     {Place::Way::sent, section(wire::RecordType::section_part), 50'000},
     Left::runs_at_source,
     false,
     true},
    {"discard partially sent", {Place::Way::sent, command_head(6), 20}, Left::runs_at_source},
    {"discard sent", {Place::Way::sent, command(wire::Ping{2}), 9}, Left::runs_at_source},
    {"discard done", {Place::Way::answered, answer(wire::Pong{2}), 8}, Left::runs_at_source},
    {"package partially sent", {Place::Way::sent, command_head(7), 40}, Left::runs_at_source},
    {"package arrived, not acknowledged",
     {Place::Way::answered, answer(wire::Pong{0x62747763}), 0},
     Left::runs_at_source},
    {"package sent, last byte lost", {Place::Way::sent, command(wire::PostcopyRun{}), 4}, Left::nowhere},
    {"package sent", {Place::Way::sent, command(wire::PostcopyRun{}), 5}, Left::runs_at_destination},
    // The answer comes from a guest that runs already, and its pages from a source that did not wait for it.
    {"running", {Place::Way::answered, answer(wire::Pong{3}), 8}, Left::runs_at_destination, true},
    {"running, not acknowledged",
     {Place::Way::answered, answer(wire::Pong{3}), 0},
     Left::runs_at_destination,
     true},
    {"background", {Place::Way::sent, command(wire::PostcopyRun{}), 300'000}, Left::runs_at_destination},
    {"last page sent", {Place::Way::sent, end_of_stream(), 19}, Left::runs_at_destination, true},
    {"SHUT awaited", {Place::Way::answered, answer(wire::Shut{0}), 0}, Left::runs_at_destination, true},
};

/// Steps on a connection that takes the first one up again. All leave the guest where it runs.
const Step kRecoverySteps[] = {
    {"connected", {Place::Way::sent, {}, 3}, Left::runs_at_destination},
    {"bitmaps asked for",
     {Place::Way::sent, command(wire::ReceivedBitmapRequest{"ram"}), 9},
     Left::runs_at_destination},
    {"bitmap partially answered",
     {Place::Way::answered, answer(wire::ReceivedBitmap{"ram"}), 30},
     Left::runs_at_destination},
    {"resume not sent", {Place::Way::sent, command(wire::PostcopyResume{}), 2}, Left::runs_at_destination},
    {"resume sent", {Place::Way::sent, command(wire::PostcopyResume{}), 5}, Left::runs_at_destination},
    {"resume acknowledged", {Place::Way::answered, answer(wire::ResumeAck{1}), 8}, Left::runs_at_destination},
    {"resume not acknowledged",
     {Place::Way::answered, answer(wire::ResumeAck{1}), 0},
     Left::runs_at_destination},
    {"background again",
     {Place::Way::sent, command(wire::PostcopyResume{}), 100'000},
     Left::runs_at_destination},
};

class HandoverTest : public testing::PostcopyFixture {
 protected:
  void SetUp() override {
    PostcopyFixture::SetUp();
    if (!IsSkipped()) begin();
  }

  void begin() {
    wire_.reset();
    source_.emplace(std::vector<testing::BlockSize>{{"ram", 512}});
    destination_.emplace(std::vector<testing::BlockSize>{{"ram", 512}}, RunState::inmigrate);
    source_->set(Capability::postcopy_ram);
    destination_->set(Capability::postcopy_ram);
    for (std::uint64_t page = 0; page < 512; ++page)
      source_->guest.write(0, page, static_cast<std::uint8_t>(page % 200 + 20));
    schema::MigrateSetParameters slow;
    slow.max_bandwidth = 1 << 20;
    ASSERT_TRUE(source_->migration.set_parameters(slow).has_value());
    wire_.emplace(directory_.file("wire"), directory_.file("m"));
    ASSERT_TRUE(destination_->migration.incoming(directory_.uri("m"), destination_->descriptors).has_value());
  }
  void arm(const Place& place) {
    if (place.way == Place::Way::sent)
      wire_->cut_in_sent(place.pattern, place.count);
    else
      wire_->cut_in_answered(place.pattern, place.count);
  }
  void migrate(bool postcopy = true) {
    ASSERT_TRUE(source_->migrate(directory_.uri("wire")).has_value());
    if (!postcopy) return;
    ASSERT_TRUE(source_->migration.start_postcopy().has_value());
  }
  bool destination_has_completed() const { return destination_->migration.info().status == completed; }

  /// Both sides have seen that the connection is broken.
  void await(const Step& step, int pauses = 1) {
    if (step.left == Left::runs_at_source) {
      source_->recorder.wait_for("failed");
      destination_->recorder.wait_for("exit 1");
    } else if (step.left == Left::nowhere) {
      source_->recorder.wait_for("postcopy-paused");
      destination_->recorder.wait_for("exit 1");
    } else {
      source_->recorder.wait_for("postcopy-paused", pauses);
      destination_->recorder.wait_for_any({"postcopy-paused", "completed"}, pauses);
      EXPECT_TRUE(destination_->guest.wait_for(RunState::running));
      EXPECT_TRUE(step.may_be_complete || !destination_has_completed());
    }
  }
  void expect_at_source(const Step& step) {
    const bool runs = source_->guest.run_state() == RunState::running;
    EXPECT_EQ(runs, step.left == Left::runs_at_source);
    EXPECT_FALSE(source_->guest.tracker.running());
    EXPECT_EQ(source_->migration.info().status, runs ? failed : postcopy_paused);
  }
  void expect_at_destination(const Step& step) {
    EXPECT_EQ(destination_->guest.run_state() == RunState::running, step.left == Left::runs_at_destination);
  }
  void recover() { ASSERT_TRUE(source_->migrate(directory_.uri("wire"), true).has_value()); }
  void expect_whole() {
    source_->recorder.wait_for("completed");
    destination_->recorder.wait_for("completed");
    EXPECT_TRUE(source_->guest.same_memory(destination_->guest));
  }

  std::optional<Host> source_;
  std::optional<Host> destination_;
  std::optional<CutProxy> wire_;
};

TEST_F(HandoverTest, ACut) {
  for (const Step& step : kSteps) {
    SCOPED_TRACE(step.name);
    begin();
    arm(step.place);
    migrate(!step.in_precopy);
    await(step);
    expect_at_source(step);
    expect_at_destination(step);
    if (step.left != Left::runs_at_destination || destination_has_completed()) continue;
    recover();
    expect_whole();
  }
}

TEST_F(HandoverTest, ADestinationThatDies) {
  for (const Step& step : kSteps) {
    SCOPED_TRACE(step.name);
    begin();
    arm(step.place);
    migrate(!step.in_precopy);
    await(step);
    destination_.reset();
    expect_at_source(step);
    // A new attempt is possible where the guest runs here, and nowhere else.
    if (step.left == Left::runs_at_source) {
      EXPECT_EQ(source_->migration.cancel().has_value(), true);
    } else {
      EXPECT_EQ(source_->migrate(directory_.uri("wire")).error().what(),
                "There's a migration process in progress");
    }
  }
}

TEST_F(HandoverTest, ASourceThatDies) {
  for (const Step& step : kSteps) {
    SCOPED_TRACE(step.name);
    begin();
    arm(step.place);
    migrate(!step.in_precopy);
    await(step);
    source_.reset();
    expect_at_destination(step);
    if (step.left != Left::runs_at_destination) continue;
    // It goes on with the pages it has.
    EXPECT_EQ(destination_->guest.run_state(), RunState::running);
  }
}

TEST_F(HandoverTest, AGuestThatIsNowhereCanBeStartedByHand) {
  const Step& step = *std::ranges::find(kSteps, Left::nowhere, &Step::left);
  arm(step.place);
  migrate();
  await(step);
  ASSERT_TRUE(source_->migration.cancel().has_value());
  source_->recorder.wait_for("cancelled");
  EXPECT_EQ(source_->guest.run_state(), RunState::postmigrate);  // from which `cont` is allowed
}

TEST_F(HandoverTest, ADestinationThatCannotLoadTheDevicesGivesTheGuestBack) {
  source_->guest.device.mode = 9;  // out of the range that the destination accepts
  migrate();
  source_->recorder.wait_for("failed");
  destination_->recorder.wait_for("exit 1");
  EXPECT_EQ(source_->guest.run_state(), RunState::running);
  EXPECT_TRUE(destination_->guest.history().empty());
}

TEST_F(HandoverTest, ACutWhileTheConnectionIsTakenUpAgain) {
  const Step& first = *std::ranges::find(kSteps, std::string_view("background"), &Step::name);
  for (const Step& step : kRecoverySteps) {
    SCOPED_TRACE(step.name);
    begin();
    arm(first.place);
    migrate();
    await(first);
    arm(step.place);
    recover();
    await(step, 2);
    expect_at_source(step);
    expect_at_destination(step);
    recover();
    expect_whole();
  }
}

TEST_F(HandoverTest, ASideThatDiesWhileTheConnectionIsTakenUpAgain) {
  const Step& first = *std::ranges::find(kSteps, std::string_view("background"), &Step::name);
  for (const Step& step : kRecoverySteps) {
    for (const bool source_dies : {false, true}) {
      SCOPED_TRACE(step.name);
      begin();
      arm(first.place);
      migrate();
      await(first);
      arm(step.place);
      recover();
      await(step, 2);
      if (source_dies) {
        source_.reset();
        expect_at_destination(step);
      } else {
        destination_.reset();
        expect_at_source(step);
      }
    }
  }
}

/// Cuts anywhere, several in a row: the guest runs on one side, and in the end it is whole.
TEST_F(HandoverTest, RandomCutsNeitherLoseNorDoubleTheGuest) {
  const char* const asked = std::getenv("GODWIT_CUTS");
  const int cuts = asked ? std::atoi(asked) : 25;
  std::mt19937 random(std::random_device{}());
  const auto place = [&](std::uint64_t most) {
    // Mostly near the hand-over, whose bytes are few.
    if (random() % 2)
      return Place{Place::Way::sent, command_head(6 + static_cast<int>(random() % 2)), random() % 400};
    const auto way = random() % 4 ? Place::Way::sent : Place::Way::answered;
    return Place{way, {}, random() % (way == Place::Way::sent ? most : 200)};
  };
  for (int cut = 0; cut < cuts; ++cut) {
    SCOPED_TRACE(cut);
    begin();
    arm(place(2'300'000));
    migrate();
    for (int round = 1;; ++round) {
      const std::vector<std::string> ends = {"failed", "completed"};
      source_->recorder.wait_for_any_of(ends, "postcopy-paused", round);
      destination_->recorder.wait_for_any_of({"exit 1", "completed"}, "postcopy-paused", round);
      const auto at_source = source_->migration.info().status;
      const bool destination_ended = !destination_->recorder.failure().empty();
      EXPECT_TRUE(destination_ended || destination_->guest.wait_for(RunState::running));
      const bool runs_here = source_->guest.run_state() == RunState::running;
      ASSERT_EQ(runs_here, at_source == failed);
      ASSERT_FALSE(runs_here && !destination_->guest.history().empty()) << "two guests";
      if (destination_ended)
        break;  // it is at the source, which knows that it may run it or leaves that to its user
      if (at_source == completed || destination_has_completed()) {
        EXPECT_TRUE(source_->guest.same_memory(destination_->guest));
        break;
      }
      if (round < 4) arm(place(500'000));
      recover();
    }
  }
}

TEST_F(HandoverTest, AConnectionThatIsSilentIsTakenForBroken) {
  schema::MigrateSetParameters impatient;
  impatient.x_postcopy_timeout = 2000;
  impatient.max_postcopy_bandwidth = 1;
  ASSERT_TRUE(source_->migration.set_parameters(impatient).has_value());
  ASSERT_TRUE(destination_->migration.set_parameters(impatient).has_value());
  migrate();
  destination_->recorder.wait_for("postcopy-active");
  source_->recorder.wait_for("postcopy-active");
  wire_->stall();
  source_->recorder.wait_for("postcopy-paused");
  destination_->recorder.wait_for("postcopy-paused");
  EXPECT_EQ(destination_->guest.run_state(), RunState::running);
}

TEST_F(HandoverTest, BothSidesConnectAgainByThemselvesIfToldSo) {
  schema::MigrateSetParameters automatic;
  automatic.x_postcopy_auto_recover = true;
  automatic.max_postcopy_bandwidth = 1 << 20;
  ASSERT_TRUE(source_->migration.set_parameters(automatic).has_value());
  migrate();
  for (int round = 1; round <= 3; ++round) {
    source_->recorder.wait_for("postcopy-active", round);
    destination_->recorder.wait_for("postcopy-active", round);
    wire_->cut();
  }
  expect_whole();
}

}  // namespace
}  // namespace godwit::engine
