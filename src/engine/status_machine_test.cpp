#include "engine/status_machine.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>
#include <vector>

#include "engine/ownership.h"

namespace godwit::engine {
namespace {

using enum Status;

TEST(StatusMachine, EachMoveIsAnnouncedOnceInOrder) {
  std::vector<Status> seen;
  StatusMachine machine(outgoing_moves(), [&](Status s) { seen.push_back(s); });
  EXPECT_TRUE(machine.to(none, setup));
  EXPECT_TRUE(machine.to(setup, active));
  EXPECT_TRUE(machine.to({active, device}, completed));
  EXPECT_EQ(seen, (std::vector{setup, active, completed}));
}

TEST(StatusMachine, AMoveFromAnotherStateIsDroppedSilently) {
  int announced = 0;
  StatusMachine machine(outgoing_moves(), [&](Status) { ++announced; });
  machine.to(none, setup);
  machine.to(setup, cancelling);
  EXPECT_FALSE(machine.to(setup, active));
  EXPECT_EQ(machine.status(), cancelling);
  EXPECT_EQ(announced, 2);
}

TEST(StatusMachine, EveryStateOfTheTableCanBeReachedAndLeftOrIsIdle) {
  for (auto moves : {outgoing_moves(), incoming_moves()}) {
    std::set<Status> reached{none};
    for (std::size_t round = 0; round < moves.size(); ++round)
      for (const Move& move : moves)
        if (reached.contains(move.from)) reached.insert(move.to);
    for (const Move& move : moves) EXPECT_TRUE(reached.contains(move.from)) << schema::to_string(move.from);
    for (Status status : reached) {
      const bool left = std::ranges::any_of(moves, [&](const Move& move) { return move.from == status; });
      EXPECT_TRUE(left || is_idle(status)) << schema::to_string(status);
    }
  }
}

TEST(StatusMachine, EverythingInProgressCanBeCancelledBeforeTheEnd) {
  for (Status status : {setup, active, pre_switchover, device}) {
    EXPECT_TRUE(in_progress(status));
    EXPECT_TRUE(std::ranges::any_of(outgoing_moves(), [&](const Move& move) {
      return move.from == status && move.to == cancelling;
    })) << schema::to_string(status);
  }
  EXPECT_TRUE(in_progress(colo));
  EXPECT_TRUE(is_idle(failed));
}

TEST(Ownership, OnlyAGuestThatIsHereMayRunHere) {
  Ownership source(Owner::here);
  EXPECT_TRUE(source.may_run_here());
  source.hand_over();
  EXPECT_FALSE(source.may_run_here());
  source.take_back();
  EXPECT_TRUE(source.may_run_here());
  source.hand_over();
  source.confirm();
  EXPECT_FALSE(source.may_run_here());
  EXPECT_EQ(to_string(source.owner()), "there");
}

}  // namespace
}  // namespace godwit::engine
