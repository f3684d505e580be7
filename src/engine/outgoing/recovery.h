// What the source does after the connection broke in postcopy: it keeps every page, waits to be told where
// the destination is, and takes the connection up again (wire-format section 7.9, control-plane section 4.3).
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "channel/address.h"
#include "channel/channel.h"
#include "engine/outgoing/postcopy_phase.h"
#include "engine/outgoing/session.h"

namespace godwit::engine {

/// Where the destination is. `channel` is set where there is nothing to connect to.
struct Target {
  channel::Address address;
  std::unique_ptr<channel::Channel> channel = nullptr;
};

class Recovery {
 public:
  /// `first` is where the destination was at the beginning.
  Recovery(OutgoingSession& session, channel::Address first) : session_(session), last_(std::move(first)) {}

  /// Any thread. The status is postcopy-paused. An older target that was not tried yet is dropped.
  void resume(Target target);

  /// Migration thread, with the connection broken. Returns when the destination has acknowledged a new one;
  /// an error only when the attempt is to end.
  Result<> run(PostcopyPhase& postcopy, const Error& why);

 private:
  Result<Target> wait_for_target();
  Result<> attempt(PostcopyPhase& postcopy, Target target);
  bool automatic() const;

  OutgoingSession& session_;
  channel::Address last_;
  Nanoseconds pause_{0};  ///< before the next automatic attempt

  std::mutex mutex_;
  std::optional<Target> next_;  ///< guarded by mutex_
};

}  // namespace godwit::engine
