// One attempt to move the guest out: the migration thread and what it goes through (control-plane sections 4
// and 10).
//
//   setup ----------> active ------------------------> [pre-switchover -> device] -> completed
//   connect, header,  slices of dirty pages, one       guest stopped, the rest of RAM,
//   block list,       bitmap synchronization when      device state, hand-over
//   first sync        the rest looks small enough
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <godwit/guest.h>
#include <godwit/migration.h>

#include "base/clock.h"
#include "channel/address.h"
#include "channel/channel.h"
#include "channel/interrupt.h"
#include "engine/convergence.h"
#include "engine/outgoing/ram_saver.h"
#include "engine/outgoing/return_path.h"
#include "engine/outgoing/stream_writer.h"
#include "engine/ownership.h"
#include "engine/settings.h"
#include "engine/statistics.h"
#include "engine/status_machine.h"

namespace godwit::engine {

/// What an attempt works with. All of it outlives the attempt.
struct OutgoingContext {
  Guest& guest;
  MigrationObserver& observer;
  Clock& clock;
  Settings& settings;
  StatusMachine& status;
  const MigrationOptions& options;
};

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
  void proceed() { proceed_.set(); }

  const Statistics& statistics() const { return statistics_; }
  Owner owner() const { return ownership_.owner(); }
  /// What went wrong, once the status is failed.
  std::optional<std::string> error_text() const;

  void wait_until_done() const { done_.wait(); }

 private:
  void run();
  Result<> transfer();
  Result<> connect();
  Result<> set_up();
  Result<> iterate();
  Result<> send_slice();
  Result<> synchronize();
  Result<> switch_over();
  Result<> wait_before_switchover();
  Result<> send_rest();
  Result<> confirm_destination();
  Result<> hand_over(const std::string& description);
  Result<> await_destination();
  void finish_completed();
  void finish_failed(Error error);
  void give_guest_back();
  void close_channel();
  void update_window();
  bool cancelled() const { return wake_.is_set(); }
  void store_error(const Error& error);

  OutgoingContext context_;
  const Capabilities capabilities_;
  channel::Address address_;
  channel::Interrupt interrupt_;  ///< ends a connection attempt
  Event wake_;                    ///< set by cancel(): ends every wait
  Event proceed_;
  Event done_;

  mutable std::mutex mutex_;  ///< guards channel_ against cancel(), and error_text_
  std::unique_ptr<channel::Channel> channel_;
  std::optional<std::string> error_text_;

  Statistics statistics_;
  Ownership ownership_{Owner::here};
  std::unique_ptr<StreamWriter> out_;
  std::unique_ptr<ReturnPath> return_path_;
  RamSaver ram_;
  BandwidthWindow window_;
  DirtyRate dirty_rate_;
  std::uint64_t remaining_at_sync_ = 0;        ///< bytes
  std::optional<RunState> state_before_stop_;  ///< set while the guest is stopped for the switchover
  Nanoseconds stopped_at_{0};

  std::jthread thread_;  // last: it uses everything above
};

}  // namespace godwit::engine
