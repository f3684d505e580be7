// One attempt to move the guest out: the migration thread and what it goes through (control-plane sections 4
// and 10).
//
//   setup ----------> active ------------------------> [pre-switchover -> device] -> completed
//   connect, header,  slices of dirty pages, one       guest stopped, the rest of RAM,
//   block list,       bitmap synchronization when      device state, hand-over
//   first sync        the rest looks small enough
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
#include "engine/outgoing/session.h"

namespace godwit::engine {

/// Threads: the constructor starts the migration thread; cancel(), proceed() and the queries may be called
/// from any thread. The destructor joins; call cancel() first if the attempt may still run.
class OutgoingMigration {
 public:
  /// The status is `setup` already. With `channel` unset the migration thread connects to `address` itself.
  OutgoingMigration(OutgoingContext context, channel::Address address,
                    std::unique_ptr<channel::Channel> channel);
  ~OutgoingMigration();

  /// Moves the status to cancelling, if it is still in time, and wakes the migration thread.
  void cancel();
  /// Releases the wait in pre-switchover.
  void proceed() { session_.proceed.set(); }

  const Statistics& statistics() const { return session_.statistics; }
  Owner owner() const { return session_.ownership.owner(); }
  /// What went wrong, once the status is failed.
  std::optional<std::string> error_text() const;

  void wait_until_done() const { done_.wait(); }

 private:
  void run();
  Result<> transfer();
  void finish_completed();
  void finish_failed(Error error);
  void give_guest_back();
  void store_error(const Error& error);

  OutgoingSession session_;
  channel::Address address_;
  Event done_;

  mutable std::mutex mutex_;  ///< guards error_text_
  std::optional<std::string> error_text_;

  std::jthread thread_;  // last: it uses everything above
};

}  // namespace godwit::engine
