#include "vm/accel/unicorn/execution_turn.h"

#include <chrono>

namespace godwit::vm {
namespace {

/// How long a vCPU executes while others wait.
constexpr std::chrono::milliseconds slice{2};

}  // namespace

void ExecutionTurn::take(TurnHolder& holder) {
  std::unique_lock lock(mutex_);
  const std::uint64_t ticket = next_ticket_++;
  const auto is_mine = [this, ticket] { return served_ == ticket; };
  while (!changed_.wait_for(lock, slice, is_mine))
    if (holder_) holder_->ask_for_turn();
  holder_ = &holder;
}

void ExecutionTurn::give_back() {
  {
    const std::lock_guard lock(mutex_);
    holder_ = nullptr;
    ++served_;
  }
  changed_.notify_all();
}

}  // namespace godwit::vm
