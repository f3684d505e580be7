#include "vm/run_state_machine.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "base/fail.h"
#include "base/log.h"

namespace godwit::vm {
namespace {

using enum RunState;

using StateSet = std::uint32_t;

constexpr StateSet set_of(std::initializer_list<RunState> states) {
  StateSet set = 0;
  for (const RunState state : states) set |= StateSet{1} << static_cast<unsigned>(state);
  return set;
}

struct Row {
  RunState from;
  StateSet to;
};

constexpr auto table = std::to_array<Row>({
    {debug, set_of({running, finish_migrate, suspended, prelaunch})},
    {inmigrate, set_of({running, paused, finish_migrate, prelaunch, postmigrate, colo, suspended, watchdog,
                        guest_panicked, internal_error, io_error, shutdown})},
    {internal_error, set_of({paused, finish_migrate, prelaunch})},
    {io_error, set_of({running, finish_migrate, prelaunch})},
    {paused, set_of({running, finish_migrate, postmigrate, colo, prelaunch})},
    {postmigrate, set_of({running, finish_migrate, prelaunch})},
    {prelaunch, set_of({running, finish_migrate, inmigrate})},
    {finish_migrate, set_of({running, paused, postmigrate, prelaunch, colo})},
    {restore_vm, set_of({running, prelaunch})},
    {running, set_of({debug, internal_error, io_error, paused, finish_migrate, restore_vm, save_vm, shutdown,
                      watchdog, guest_panicked, colo, suspended})},
    {save_vm, set_of({running})},
    {shutdown, set_of({paused, finish_migrate, prelaunch, colo})},
    {suspended, set_of({running, finish_migrate, prelaunch, colo})},
    {watchdog, set_of({running, finish_migrate, prelaunch, colo})},
    {guest_panicked, set_of({running, finish_migrate, prelaunch})},
    {colo, set_of({running, prelaunch, shutdown})},
});

static_assert(table.size() == schema::value_count<RunState>, "every state has its row");

constexpr bool table_is_sane() {
  StateSet rows = 0;
  for (const Row& row : table) {
    if (row.to & set_of({row.from})) return false;
    rows |= set_of({row.from});
  }
  return rows == (StateSet{1} << table.size()) - 1;
}
static_assert(table_is_sane(), "one row per state, no move to itself");

}  // namespace

bool is_legal_move(RunState from, RunState to) {
  const auto* row = std::ranges::find(table, from, &Row::from);
  return row != table.end() && (row->to & set_of({to})) != 0;
}

bool needs_reset(RunState state) {
  return state == internal_error || state == shutdown;
}

Result<> RunStateMachine::check(RunState next) const {
  if (next == state_ || is_legal_move(state_, next)) return {};
  return fail("the machine cannot go from state '{}' to '{}'", schema::to_string(state_),
              schema::to_string(next));
}

Result<> RunStateMachine::to(RunState next) {
  GODWIT_TRY(check(next));
  if (next != state_) log::debug("run state {} -> {}", schema::to_string(state_), schema::to_string(next));
  state_ = next;
  return {};
}

}  // namespace godwit::vm
