// One attempt to move the guest out: the migration thread and what it goes through (control-plane sections 4
// and 10).
//
//   setup ----------> active ------------------------> [pre-switchover -> device] -> completed
//   connect, header,  slices of dirty pages, one       guest stopped, the rest of RAM,
//   block list,       bitmap synchronization when      device state, hand-over
//   first sync        the rest looks small enough
//                        |
//                        +-> postcopy-active -> completed
//                            guest handed over,   |  ^
//                            pages follow         v  | bitmaps compared
//                                    postcopy-paused -> postcopy-recover
//
// Each phase has a file of its own; what they share is the OutgoingSession.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "channel/address.h"
#include "channel/channel.h"
#include "engine/outgoing/recovery.h"
#include "engine/outgoing/session.h"

namespace godwit::engine {

/// Threads: the constructor starts the migration thread; everything but the destructor may be called from any
/// thread. The destructor joins; call end() first if the attempt may still run.
class OutgoingMigration {
 public:
  /// The status is `setup` already. Where the target has no channel the migration thread connects.
  OutgoingMigration(OutgoingContext context, Target target);
  ~OutgoingMigration();

  /// Moves the status to cancelling, if it is still in time, and wakes the migration thread. Refused when the
  /// destination runs the guest.
  Result<> cancel();
  /// The process ends: cancels, or leaves the destination alone with what it has.
  void end();
  /// Releases the wait in pre-switchover.
  void proceed() { session_.proceed.set(); }
  /// The guest goes to the destination as soon as the migration thread sees this.
  void start_postcopy();
  /// Parameters have changed.
  void look_again() { session_.wake.set(); }
  /// Breaks the connection. The status is postcopy-active.
  void pause();
  /// Takes a broken connection up again; the status is postcopy-paused.
  void resume(Target target) { recovery_.resume(std::move(target)); }

  const Statistics& statistics() const { return session_.statistics; }
  std::optional<schema::AutoLanesInfo> auto_lanes() const { return session_.auto_lanes.get(); }
  Owner owner() const { return session_.ownership.owner(); }
  /// What went wrong, once the status is failed.
  std::optional<std::string> error_text() const;

  void wait_until_done() const { done_.wait(); }

 private:
  void run();
  Result<> transfer();
  Result<> transfer_by_postcopy();
  void finish_completed();
  void finish_failed(const Error& error);
  void report(Error error);
  void give_guest_back();
  void set_run_state(RunState state);
  void store_error(const Error& error);

  OutgoingSession session_;
  const channel::Address address_;
  Recovery recovery_;
  Event done_;

  mutable std::mutex mutex_;  ///< guards error_text_
  std::optional<std::string> error_text_;

  std::jthread thread_;  // last: it uses everything above
};

}  // namespace godwit::engine
