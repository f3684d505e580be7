// The migration status, and the only place that changes it (control-plane section 4).
#pragma once

#include <functional>
#include <initializer_list>
#include <mutex>
#include <span>

#include <godwit/schema/types.h>

namespace godwit::engine {

using Status = schema::MigrationStatus;

/// One legal move.
struct Move {
  Status from;
  Status to;
};

/// The moves of the source and of the destination, for the machine, for tests and for the documentation.
std::span<const Move> outgoing_moves();
std::span<const Move> incoming_moves();

/// In progress: a new migration and changes of capabilities are refused.
bool in_progress(Status status);
/// The destination runs the guest, or is about to, while pages are still missing there.
bool is_postcopy(Status status);
/// Idle: a migration may start and blockers may be added.
inline bool is_idle(Status status) {
  return !in_progress(status);
}

/// Thread-safe. Announcements leave in the order of the moves.
class StatusMachine {
 public:
  using Announce = std::function<void(Status)>;

  /// `announce` is called for each move, with the machine locked: it passes the news on and returns.
  StatusMachine(std::span<const Move> moves, Announce announce);

  Status status() const;

  /// Moves from `expected` to `next`. False, without a move, when another thread has moved the status
  /// meanwhile (to cancelling, for instance). A move that the table does not have is a mistake of ours and
  /// asserts.
  bool to(Status expected, Status next);
  /// Moves from whichever of `expected` it is. False if it is none of them.
  bool to(std::initializer_list<Status> expected, Status next);

 private:
  bool legal(Status from, Status next) const;

  std::span<const Move> moves_;
  Announce announce_;
  mutable std::mutex mutex_;
  Status status_ = Status::none;
};

}  // namespace godwit::engine
