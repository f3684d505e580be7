// The destination: listens, accepts one source, loads the guest and starts it (control-plane section 4.2).
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <godwit/guest.h>
#include <godwit/migration.h>

#include "channel/channel.h"
#include "channel/listener.h"
#include "engine/ownership.h"
#include "engine/settings.h"
#include "engine/status_machine.h"

namespace godwit::engine {

struct IncomingContext {
  Guest& guest;
  MigrationObserver& observer;
  Settings& settings;
  StatusMachine& status;
  const MigrationOptions& options;
  bool exit_on_error = true;  ///< the observer is told of a failure to load
};

/// Threads: the constructor starts the incoming thread; the queries may be called from any thread. The
/// destructor ends waiting and loading, and joins.
class IncomingMigration {
 public:
  IncomingMigration(IncomingContext context, std::unique_ptr<channel::Listener> listener);
  ~IncomingMigration();

  /// What is listened on; empty once the guest was taken over.
  std::vector<channel::ListeningAddress> addresses() const;
  /// Why loading failed, once the status is failed.
  std::optional<std::string> error_text() const;

 private:
  void run(std::stop_token stop);
  Result<> load(channel::Channel& channel);
  Result<> start_guest(RunState received);
  void fail_for_good(const Error& error);

  IncomingContext context_;
  mutable std::mutex
      mutex_;  ///< guards the error, and the two pointers against the destructor and addresses()
  std::unique_ptr<channel::Listener> listener_;
  std::unique_ptr<channel::Channel> channel_;
  std::optional<std::string> error_text_;
  Ownership ownership_{Owner::there};
  std::jthread thread_;
};

}  // namespace godwit::engine
