#include "vm/run_state_machine.h"

#include <gmock/gmock.h>
#include <map>
#include <set>

namespace godwit::vm {
namespace {

using enum RunState;
using ::testing::HasSubstr;

TEST(RunStateMachine, AllowsExactlyTheMovesOfTheControlPlane) {
  // control-plane section 3, read once more, from the side of the migration.
  const std::map<RunState, std::set<RunState>> of_migration = {
      {inmigrate,
       {running, paused, finish_migrate, prelaunch, postmigrate, colo, suspended, watchdog, guest_panicked,
        internal_error, io_error, shutdown}},
      {finish_migrate, {running, paused, postmigrate, prelaunch, colo}},
      {postmigrate, {running, finish_migrate, prelaunch}},
      {colo, {running, prelaunch, shutdown}},
  };
  for (const auto& [from, targets] : of_migration)
    for (const RunState to : schema::all_values<RunState>())
      EXPECT_EQ(is_legal_move(from, to), targets.contains(to))
          << schema::to_string(from) << " -> " << schema::to_string(to);
  for (const RunState from : {running, paused, prelaunch, postmigrate, suspended, io_error, internal_error,
                              watchdog, guest_panicked, debug, shutdown, inmigrate})
    EXPECT_TRUE(is_legal_move(from, finish_migrate)) << schema::to_string(from);
  for (const RunState from : {running, paused, suspended, watchdog, shutdown, inmigrate, finish_migrate})
    EXPECT_TRUE(is_legal_move(from, colo)) << schema::to_string(from);
  EXPECT_TRUE(is_legal_move(prelaunch, inmigrate));
  EXPECT_FALSE(is_legal_move(running, postmigrate));
  EXPECT_FALSE(is_legal_move(running, inmigrate));
}

TEST(RunStateMachine, RefusesAnIllegalMoveAndKeepsTheState) {
  RunStateMachine machine(running);
  const auto moved = machine.to(postmigrate);
  ASSERT_FALSE(moved);
  EXPECT_THAT(moved.error().what(), HasSubstr("'running' to 'postmigrate'"));
  EXPECT_EQ(machine.state(), running);
}

TEST(RunStateMachine, TakesTheStateItHas) {
  RunStateMachine machine(paused);
  EXPECT_TRUE(machine.to(paused));
  EXPECT_TRUE(machine.to(running));
  EXPECT_TRUE(machine.is_running());
}

TEST(RunStateMachine, EveryStateCanBeLeft) {
  for (const RunState from : schema::all_values<RunState>()) {
    bool left = false;
    for (const RunState to : schema::all_values<RunState>()) left |= is_legal_move(from, to);
    EXPECT_TRUE(left) << schema::to_string(from);
    EXPECT_FALSE(is_legal_move(from, from));
  }
}

}  // namespace
}  // namespace godwit::vm
