// The run states of a machine and the moves between them, as a table (control-plane section 3).
#pragma once

#include <godwit/result.h>
#include <godwit/run_state.h>

namespace godwit::vm {

/// Whether a machine may go from one state to the other. From a state to itself: no.
bool is_legal_move(RunState from, RunState to);

/// True of the states that a guest can only leave through a reset.
bool needs_reset(RunState state);

/// Holds the state; the only place that changes it. Not thread-safe.
class RunStateMachine {
 public:
  explicit RunStateMachine(RunState initial) : state_(initial) {}
  RunState state() const { return state_; }
  bool is_running() const { return state_ == RunState::running; }

  Result<> check(RunState next) const;
  /// An illegal move is an error and changes nothing; to the present state is a success and changes nothing.
  Result<> to(RunState next);

 private:
  RunState state_;
};

}  // namespace godwit::vm
