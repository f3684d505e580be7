#include "engine/status_machine.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace godwit::engine {
namespace {

using enum Status;

constexpr Move kOutgoingMoves[] = {
    {none, setup},
    {completed, setup},
    {failed, setup},
    {cancelled, setup},
    {setup, active},
    {setup, failed},
    {setup, cancelling},
    {active, pre_switchover},
    {active, completed},
    {active, failed},
    {active, cancelling},
    {active, postcopy_active},
    {pre_switchover, postcopy_active},
    {postcopy_active, completed},
    {postcopy_active, postcopy_paused},
    {postcopy_active, failed},
    {postcopy_paused, postcopy_recover},
    {postcopy_paused, cancelling},
    {postcopy_recover, postcopy_active},
    {postcopy_recover, postcopy_paused},
    {pre_switchover, device},
    {pre_switchover, failed},
    {pre_switchover, cancelling},
    {device, completed},
    {device, failed},
    {device, cancelling},
    {cancelling, cancelled},
};

constexpr Move kIncomingMoves[] = {
    {none, active},
    {none, failed},
    {active, completed},
    {active, failed},
    {active, postcopy_active},
    {postcopy_active, completed},
    {postcopy_active, postcopy_paused},
    {postcopy_active, failed},
    {postcopy_paused, postcopy_recover},
    {postcopy_paused, failed},
    {postcopy_recover, postcopy_active},
    {postcopy_recover, postcopy_paused},
    {postcopy_recover, failed},
};

constexpr Status kInProgress[] = {setup,           active,          pre_switchover,   device,     wait_unplug,
                                  postcopy_active, postcopy_paused, postcopy_recover, cancelling, colo};

}  // namespace

std::span<const Move> outgoing_moves() {
  return kOutgoingMoves;
}
std::span<const Move> incoming_moves() {
  return kIncomingMoves;
}

bool in_progress(Status status) {
  return std::ranges::find(kInProgress, status) != std::end(kInProgress);
}

bool is_postcopy(Status status) {
  return status == postcopy_active || status == postcopy_paused || status == postcopy_recover;
}

StatusMachine::StatusMachine(std::span<const Move> moves, Announce announce)
    : moves_(moves), announce_(std::move(announce)) {}

Status StatusMachine::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

bool StatusMachine::to(Status expected, Status next) {
  return to({expected}, next);
}

bool StatusMachine::to(std::initializer_list<Status> expected, Status next) {
  std::lock_guard lock(mutex_);
  if (std::ranges::find(expected, status_) == expected.end()) return false;
  assert(legal(status_, next));
  status_ = next;
  announce_(next);
  return true;
}

bool StatusMachine::legal(Status from, Status next) const {
  return std::ranges::any_of(moves_, [&](const Move& move) { return move.from == from && move.to == next; });
}

}  // namespace godwit::engine
