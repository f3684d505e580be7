// What stands behind the public Migration: two roles, their settings and status, and the commands that move
// them. What the commands do is in migration_implementation.cpp, what query-migrate says in
// migration_info.cpp.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <godwit/migration.h>

#include "base/exhaustion.h"
#include "base/log.h"
#include "channel/address.h"
#include "channel/listener.h"
#include "engine/dirty_limiter.h"
#include "engine/dirty_rate_meter.h"
#include "engine/incoming/incoming_migration.h"
#include "engine/outgoing/outgoing_migration.h"
#include "engine/settings.h"
#include "engine/status_machine.h"

namespace godwit {

using engine::Capability;
using engine::Status;

/// Lock order: commands_ or recoveries_ before attempts_ before the locks of the parts.
class Migration::Implementation {
 public:
  Implementation(Guest& guest, MigrationObserver& observer, Clock& clock, MigrationOptions options)
      : guest_(guest),
        observer_(observer),
        clock_(clock),
        options_(options),
        outgoing_status_(engine::outgoing_moves(), [this](Status status) { announce(status); }),
        incoming_status_(engine::incoming_moves(), [this](Status status) { announce(status); }),
        dirty_rate_(guest, clock),
        dirty_limiter_(guest, clock) {}

  ~Implementation() {
    if (auto attempt = outgoing()) {
      attempt->end();
      attempt->wait_until_done();
    }
    // Ended by hand, because the threads use the members that are declared before the pointers and call back
    // here.
    outgoing_.reset();
    incoming_.reset();
  }

  Result<> set_capabilities(const std::vector<schema::MigrationCapabilityStatus>& changes);
  Result<> migrate(const schema::MigrateArguments& request, DescriptorSource& descriptors);
  Result<> incoming(std::string_view uri, DescriptorSource& descriptors, bool exit_on_error);
  Result<> proceed(Status expected);
  Result<> recover(std::string_view uri, DescriptorSource& descriptors);
  Result<> add_blocker(std::string reason);
  void remove_blocker(std::string_view reason);
  schema::MigrationInfo info() const;
  Result<> measure_dirty_rate(const schema::CalcDirtyRateArguments& wanted);
  Result<> save_device_state(const std::string& path, bool live);
  Result<> load_device_state(const std::string& path);

  Result<> cancel() {
    if (auto attempt = outgoing()) return attempt->cancel();
    return {};
  }
  void wait_until_idle() const {
    if (auto attempt = outgoing()) attempt->wait_until_done();
  }
  Result<> start_postcopy() const;
  Result<> pause();
  Result<> set_parameters(const schema::MigrateSetParameters& changes) {
    GODWIT_TRY(settings_.change(changes));
    if (auto attempt = outgoing()) attempt->look_again();
    return {};
  }

  schema::DirtyRateInfo dirty_rate() const { return dirty_rate_.info(); }
  Result<> set_dirty_limit(std::optional<std::int64_t> vcpu, std::uint64_t mib_per_second);
  Result<> cancel_dirty_limit(std::optional<std::int64_t> vcpu);
  std::vector<schema::DirtyLimitInfo> dirty_limits() const { return dirty_limiter_.info(); }

  engine::Settings settings_;

 private:
  void announce(Status status) {
    if (!settings_.has(Capability::events)) return;
    const auto told = or_exhausted([&]() -> Result<> {
      with_reserve([&] { observer_.on_status(status); });
      return {};
    });
    if (!told) log::error("nobody was told of {}: {}", schema::to_string(status), told.error().what());
  }
  std::shared_ptr<engine::OutgoingMigration> outgoing() const {
    std::lock_guard lock(attempts_);
    return outgoing_;
  }
  Result<> may_migrate(const schema::MigrateArguments& request) const;
  Result<> check_seekable(std::string_view uri, channel::Direction direction) const;
  Result<> prepare(const schema::MigrateArguments& request, DescriptorSource& descriptors);
  Result<> resume(const schema::MigrateArguments& request, DescriptorSource& descriptors);
  Result<engine::Target> target_of(const std::string& uri, DescriptorSource& descriptors) const;
  Result<channel::Address> address_to_listen_on(std::string_view uri);
  Result<std::unique_ptr<channel::Listener>> listen(const channel::Address& address,
                                                    DescriptorSource& descriptors) const;
  Result<> check_limits_are_free() const;
  std::vector<std::string> blockers() const;
  void describe_outgoing(schema::MigrationInfo& info) const;
  void describe_incoming(schema::MigrationInfo& info) const;

  Guest& guest_;
  MigrationObserver& observer_;
  Clock& clock_;
  const MigrationOptions options_;
  engine::StatusMachine outgoing_status_;
  engine::StatusMachine incoming_status_;
  engine::DirtyRateMeter dirty_rate_;  ///< with commands_ held, but for its info()
  engine::DirtyLimiter dirty_limiter_;

  std::mutex recoveries_;                   ///< one migrate-recover at a time
  mutable std::mutex commands_;             ///< one command that starts something at a time
  mutable std::mutex attempts_;             ///< guards the members below
  std::vector<std::string> blockers_;       ///< newest last
  std::optional<std::string> start_error_;  ///< why an attempt failed before it had a thread
  bool incoming_started_ = false;
  std::shared_ptr<engine::OutgoingMigration> outgoing_;
  std::unique_ptr<engine::IncomingMigration> incoming_;
};

}  // namespace godwit
