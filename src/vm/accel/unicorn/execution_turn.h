// One vCPU of an emulated machine executes at a time: engines know nothing of each other, so that only taking
// turns makes a guest's locked instructions atomic.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace godwit::vm {

/// Asks who has the turn to give it back soon. Called on the thread of one that waits.
class TurnHolder {
 public:
  virtual ~TurnHolder() = default;
  virtual void ask_for_turn() noexcept = 0;
};

/// Thread-safe. First come, first served.
class ExecutionTurn {
 public:
  /// Waits for the turn. Whoever has it is asked for it when it had a while.
  void take(TurnHolder& holder);
  void give_back();

 private:
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::uint64_t next_ticket_ = 0;
  std::uint64_t served_ = 0;
  TurnHolder* holder_ = nullptr;
};

}  // namespace godwit::vm
