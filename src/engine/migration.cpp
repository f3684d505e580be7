#include <algorithm>
#include <mutex>
#include <utility>

#include <godwit/migration.h>

#include "base/fail.h"
#include "base/log.h"
#include "channel/connector.h"
#include "engine/device_state_file.h"
#include "engine/dirty_limiter.h"
#include "engine/dirty_rate_meter.h"
#include "engine/incoming/incoming_migration.h"
#include "engine/outgoing/outgoing_migration.h"
#include "engine/security.h"
#include "engine/settings.h"
#include "engine/status_machine.h"
#include "memory/postcopy_memory.h"

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
    if (settings_.has(Capability::events)) observer_.on_status(status);
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

Result<> Migration::Implementation::set_capabilities(
    const std::vector<schema::MigrationCapabilityStatus>& changes) {
  std::lock_guard commands(commands_);
  if (engine::in_progress(outgoing_status_.status())) return fail("There's a migration process in progress");
  const auto before = settings_.capabilities();
  GODWIT_ASSIGN(const auto result, before.with(changes, settings_.parameters()));
  if (result.has(Capability::postcopy_ram) && !before.has(Capability::postcopy_ram) &&
      guest_.run_state() == RunState::inmigrate) {
    if (auto possible = memory::PostcopyMemory::check(guest_.ram_blocks()); !possible) {
      log::warn("{}", possible.error().explain());
      return fail("Postcopy is not supported");
    }
  }
  if (result.has(Capability::dirty_limit) && !engine::DirtyLimiter::possible(guest_))
    return fail("dirty-limit requires KVM with accelerator property 'dirty-ring-size' set");
  settings_.set(result);
  return {};
}

std::vector<std::string> Migration::Implementation::blockers() const {
  std::vector<std::string> all = guest_.blockers();
  std::lock_guard lock(attempts_);
  all.insert(all.end(), blockers_.begin(), blockers_.end());
  return all;
}

/// The conditions of control-plane section 9.1, in its order. Nothing has happened yet when one of them
/// fails.
Result<> Migration::Implementation::may_migrate(const schema::MigrateArguments& request) const {
  if (engine::in_progress(outgoing_status_.status())) return fail("There's a migration process in progress");
  const RunState state = guest_.run_state();
  if (state == RunState::inmigrate) return fail("Guest is waiting for an incoming migration");
  if (engine::in_progress(incoming_status_.status())) return fail("There's a migration process in progress");
  if (state == RunState::postmigrate)
    return fail("Can't migrate the vm that was paused due to previous migration");
  GODWIT_TRY(engine::check_start(settings_.capabilities()));
  if (const auto reasons = blockers(); !reasons.empty()) return fail(Error(reasons.back()));
  if (settings_.has(Capability::mapped_ram))
    GODWIT_TRY(check_seekable(request.uri, channel::Direction::outgoing));
  if (request.blk.value_or(false) || request.inc.value_or(false)) {
    if (settings_.has(Capability::block) || settings_.parameters().block_incremental)
      return fail("Command options are incompatible with current migration capabilities");
    return fail("Block migration is not built yet (docs/status.md lists what is)");
  }
  return {};
}

/// What can be said before anything is opened.
Result<> Migration::Implementation::check_seekable(std::string_view uri, channel::Direction direction) const {
  GODWIT_ASSIGN(const auto address, channel::parse_address(uri, direction));
  if (!std::holds_alternative<channel::File>(address) && !std::holds_alternative<channel::Fd>(address))
    return fail("Migration requires seekable transport (e.g. file)");
  return {};
}

Result<> Migration::Implementation::migrate(const schema::MigrateArguments& request,
                                            DescriptorSource& descriptors) {
  std::lock_guard commands(commands_);
  if (request.resume.value_or(false)) return resume(request, descriptors);
  GODWIT_TRY(may_migrate(request));
  {
    std::lock_guard lock(attempts_);
    outgoing_.reset();  // joins the thread of the attempt before, which has ended
    start_error_.reset();
  }
  dirty_rate_.release_tracker();
  const Status before = outgoing_status_.status();
  outgoing_status_.to(before, Status::setup);
  auto prepared = prepare(request, descriptors);
  if (!prepared) {
    {
      std::lock_guard lock(attempts_);
      start_error_ = prepared.error().what();
    }
    outgoing_status_.to(Status::setup, Status::failed);
  }
  return prepared;
}

Result<engine::Target> Migration::Implementation::target_of(const std::string& uri,
                                                            DescriptorSource& descriptors) const {
  GODWIT_ASSIGN(auto address, channel::parse_address(uri, channel::Direction::outgoing));
  std::unique_ptr<channel::Channel> ready;
  if (channel::connects_at_once(address)) {
    channel::Interrupt never;
    GODWIT_ASSIGN(ready, channel::connect(address, descriptors, never));
  }
  return engine::Target{.address = std::move(address), .channel = std::move(ready)};
}

Result<> Migration::Implementation::prepare(const schema::MigrateArguments& request,
                                            DescriptorSource& descriptors) {
  GODWIT_ASSIGN(auto target, target_of(request.uri, descriptors));
  auto attempt = std::make_shared<engine::OutgoingMigration>(
      engine::OutgoingContext{guest_, observer_, clock_, settings_, outgoing_status_, options_,
                              dirty_limiter_},
      std::move(target));
  std::lock_guard lock(attempts_);
  outgoing_ = std::move(attempt);
  return {};
}

/// Takes a broken postcopy up again. What fails later is seen by the status, which stays postcopy-paused.
Result<> Migration::Implementation::resume(const schema::MigrateArguments& request,
                                           DescriptorSource& descriptors) {
  const auto attempt = outgoing();
  if (!attempt || outgoing_status_.status() != Status::postcopy_paused)
    return fail("Cannot resume if there is no paused migration");
  if (settings_.has(Capability::release_ram))
    return fail("Postcopy recovery cannot work when release-ram capability is set");
  GODWIT_ASSIGN(auto target, target_of(request.uri, descriptors));
  attempt->resume(std::move(target));
  return {};
}

Result<> Migration::Implementation::start_postcopy() const {
  if (!settings_.has(Capability::postcopy_ram) && !settings_.has(Capability::dirty_bitmaps))
    return fail("Enable postcopy with migrate_set_capability before the start of migration");
  if (outgoing_status_.status() == Status::none)
    return fail("Postcopy must be started after migration has been started");
  if (auto attempt = outgoing()) attempt->start_postcopy();
  return {};
}

/// Breaks the connection from whichever side this is. Without the lock of the commands: it may be called out
/// of band.
Result<> Migration::Implementation::pause() {
  if (outgoing_status_.status() == Status::postcopy_active) {
    if (auto attempt = outgoing()) attempt->pause();
    return {};
  }
  std::lock_guard lock(attempts_);
  if (incoming_ && incoming_status_.status() == Status::postcopy_active) {
    incoming_->pause();
    return {};
  }
  return fail("migrate-pause is currently only supported during postcopy-active state");
}

Result<> Migration::Implementation::proceed(Status expected) {
  const Status status = outgoing_status_.status();
  if (status != expected) return fail("Migration not in expected state: {}", schema::to_string(status));
  if (auto attempt = outgoing(); attempt && status == Status::pre_switchover) attempt->proceed();
  return {};
}

Result<> Migration::Implementation::incoming(std::string_view uri, DescriptorSource& descriptors,
                                             bool exit_on_error) {
  std::lock_guard commands(commands_);
  {
    std::lock_guard lock(attempts_);
    if (incoming_started_) return fail("The incoming migration has already been started");
  }
  if (guest_.run_state() != RunState::inmigrate)
    return fail("'-incoming' was not specified on the command line");
  GODWIT_TRY(engine::check_start(settings_.capabilities()));
  if (settings_.has(Capability::mapped_ram)) GODWIT_TRY(check_seekable(uri, channel::Direction::incoming));
  GODWIT_ASSIGN(const auto address, address_to_listen_on(uri));
  GODWIT_ASSIGN(auto listener, listen(address, descriptors));
  std::lock_guard lock(attempts_);
  incoming_started_ = true;
  incoming_ = std::make_unique<engine::IncomingMigration>(
      engine::IncomingContext{guest_, observer_, clock_, settings_, incoming_status_, options_,
                              exit_on_error},
      std::move(listener));
  return {};
}

/// Announces the listening, whatever comes of it.
Result<channel::Address> Migration::Implementation::address_to_listen_on(std::string_view uri) {
  observer_.on_status(Status::setup);
  return channel::parse_address(uri, channel::Direction::incoming);
}

Result<std::unique_ptr<channel::Listener>> Migration::Implementation::listen(
    const channel::Address& address, DescriptorSource& descriptors) const {
  GODWIT_ASSIGN(auto listener, channel::listen(address, descriptors,
                                               std::max(16, 1 + settings_.parameters().multifd_channels)));
  return engine::secure(std::move(listener), settings_, options_.tls);
}

/// Listens for the source again. Without the lock of the commands: it may be called out of band.
Result<> Migration::Implementation::recover(std::string_view uri, DescriptorSource& descriptors) {
  std::lock_guard recoveries(recoveries_);
  if (incoming_status_.status() != Status::postcopy_paused)
    return fail("Migrate recover can only be run when postcopy is paused.");
  GODWIT_ASSIGN(const auto address, address_to_listen_on(uri));
  {
    std::lock_guard lock(attempts_);
    incoming_->stop_listening();  // the new address may be the old one
  }
  GODWIT_ASSIGN(auto listener, listen(address, descriptors));
  std::lock_guard lock(attempts_);
  incoming_->listen_on(std::move(listener));
  return {};
}

Result<> Migration::Implementation::add_blocker(std::string reason) {
  std::lock_guard commands(commands_);
  if (options_.only_migratable)
    return fail("disallowing migration blocker (--only-migratable) for: {}", reason);
  if (engine::in_progress(outgoing_status_.status()))
    return fail("disallowing migration blocker (migration/snapshot in progress) for: {}", reason);
  std::lock_guard lock(attempts_);
  blockers_.push_back(std::move(reason));
  return {};
}

void Migration::Implementation::remove_blocker(std::string_view reason) {
  std::lock_guard lock(attempts_);
  if (auto at = std::ranges::find(blockers_, reason); at != blockers_.end()) blockers_.erase(at);
}

schema::MigrationInfo Migration::Implementation::info() const {
  schema::MigrationInfo info;
  if (outgoing_status_.status() != Status::none)
    describe_outgoing(info);
  else
    describe_incoming(info);
  if (auto reasons = blockers(); !reasons.empty()) info.blocked_reasons = std::move(reasons);
  return info;
}

void Migration::Implementation::describe_outgoing(schema::MigrationInfo& info) const {
  const Status status = outgoing_status_.status();
  const auto attempt = outgoing();
  info.status = status;
  if (status == Status::failed) {
    std::lock_guard lock(attempts_);
    info.error_desc = attempt ? attempt->error_text() : start_error_;
  }
  const bool completed = status == Status::completed;
  const bool moving = engine::in_progress(status) && status != Status::setup;
  if (!attempt || !(completed || moving)) return;
  const engine::Statistics& statistics = attempt->statistics();
  info.total_time = statistics.total_ms_at(clock_.now());
  info.setup_time = statistics.setup_ms.load();
  if (completed)
    info.downtime = statistics.downtime_ms.load();
  else
    info.expected_downtime = statistics.expected_downtime_ms.load();
  info.ram = statistics.ram.to_schema(completed);
  if (const int percent = statistics.throttle_percent; percent > 0) info.cpu_throttle_percentage = percent;
  if (settings_.has(Capability::dirty_limit) && moving && !dirty_limiter_.info().empty())
    info.dirty_limit_throttle_time_per_round =
        static_cast<std::uint64_t>(dirty_limiter_.longest_wait().count());
  // These depend on the capability at the time of the question.
  if (settings_.has(Capability::x_auto_lanes)) info.x_auto_lanes = attempt->auto_lanes();
  if (settings_.has(Capability::xbzrle) || (info.x_auto_lanes && info.x_auto_lanes->xbzrle))
    info.xbzrle_cache = statistics.xbzrle.to_schema(settings_.xbzrle_cache_size());
  if (settings_.has(Capability::compress)) info.compression = statistics.compression.to_schema();
}

void Migration::Implementation::describe_incoming(schema::MigrationInfo& info) const {
  if (const Status status = incoming_status_.status(); status != Status::none) info.status = status;
  std::lock_guard lock(attempts_);
  if (!incoming_) return;
  if (incoming_status_.status() == Status::completed) {
    if (const auto* blocktime = incoming_->blocktime()) {
      info.postcopy_blocktime = static_cast<std::uint32_t>(blocktime->total_ms());
      info.postcopy_vcpu_blocktime.emplace();
      for (const std::int64_t ms : blocktime->vcpu_ms())
        info.postcopy_vcpu_blocktime->push_back(static_cast<std::uint32_t>(ms));
    }
    return;
  }
  if (incoming_status_.status() == Status::failed) info.error_desc = incoming_->error_text();
  std::vector<schema::SocketAddress> addresses;
  for (const auto& address : incoming_->addresses()) addresses.push_back(engine::to_schema(address));
  if (!addresses.empty()) info.socket_address = std::move(addresses);
}

Result<> Migration::Implementation::measure_dirty_rate(const schema::CalcDirtyRateArguments& wanted) {
  std::lock_guard commands(commands_);
  // Reading memory that has not arrived could wait for it without end.
  if (guest_.run_state() == RunState::inmigrate || engine::in_progress(incoming_status_.status()))
    return fail("the dirty rate cannot be measured while the guest arrives");
  const bool by_tracker = wanted.mode.value_or(schema::DirtyRateMeasureMode::page_sampling) !=
                          schema::DirtyRateMeasureMode::page_sampling;
  if (by_tracker && engine::in_progress(outgoing_status_.status()))
    return fail("a migration is using the dirty tracker: mode page-sampling can be used beside it");
  return dirty_rate_.start(wanted);
}

/// Its own limits and those of a migration would take each other away.
Result<> Migration::Implementation::check_limits_are_free() const {
  if (settings_.has(Capability::dirty_limit) && engine::in_progress(outgoing_status_.status()))
    return fail("a migration with the capability dirty-limit limits the processors itself");
  return {};
}

Result<> Migration::Implementation::set_dirty_limit(std::optional<std::int64_t> vcpu,
                                                    std::uint64_t mib_per_second) {
  if (mib_per_second == 0) return cancel_dirty_limit(vcpu);
  std::lock_guard commands(commands_);
  GODWIT_TRY(check_limits_are_free());
  return dirty_limiter_.set(vcpu, mib_per_second);
}

Result<> Migration::Implementation::cancel_dirty_limit(std::optional<std::int64_t> vcpu) {
  std::lock_guard commands(commands_);
  GODWIT_TRY(check_limits_are_free());
  if (dirty_limiter_.info().empty()) return {};
  return dirty_limiter_.cancel(vcpu);
}

Result<> Migration::Implementation::save_device_state(const std::string& path, bool live) {
  std::lock_guard commands(commands_);
  (void)live;  // it says whether images are given up; there are none
  return engine::save_device_state_file(guest_, options_, path);
}

Result<> Migration::Implementation::load_device_state(const std::string& path) {
  std::lock_guard commands(commands_);
  if (guest_.run_state() == RunState::running) return fail("Cannot update device state while vm is running");
  return engine::load_device_state_file(guest_, options_, path);
}

Migration::Migration(Guest& guest, MigrationObserver& observer, Clock& clock, MigrationOptions options)
    : implementation_(std::make_unique<Implementation>(guest, observer, clock, options)) {}
Migration::~Migration() = default;

Result<> Migration::set_capabilities(const std::vector<schema::MigrationCapabilityStatus>& changes) {
  return implementation_->set_capabilities(changes);
}
std::vector<schema::MigrationCapabilityStatus> Migration::capabilities() const {
  return implementation_->settings_.capabilities().list();
}
Result<> Migration::set_parameters(const schema::MigrateSetParameters& changes) {
  return implementation_->set_parameters(changes);
}
schema::MigrationParameters Migration::parameters() const {
  return implementation_->settings_.parameters().to_schema();
}
schema::MigrationInfo Migration::info() const {
  return implementation_->info();
}
Result<> Migration::migrate(const schema::MigrateArguments& request, DescriptorSource& descriptors) {
  return implementation_->migrate(request, descriptors);
}
Result<> Migration::cancel() {
  return implementation_->cancel();
}
Result<> Migration::proceed(schema::MigrationStatus expected) {
  return implementation_->proceed(expected);
}
Result<> Migration::start_postcopy() {
  return implementation_->start_postcopy();
}
Result<> Migration::pause() {
  return implementation_->pause();
}
Result<> Migration::recover(std::string_view uri, DescriptorSource& descriptors) {
  return implementation_->recover(uri, descriptors);
}
Result<> Migration::incoming(std::string_view uri, DescriptorSource& descriptors, bool exit_on_error) {
  return implementation_->incoming(uri, descriptors, exit_on_error);
}
Result<> Migration::add_blocker(std::string reason) {
  return implementation_->add_blocker(std::move(reason));
}
void Migration::remove_blocker(std::string_view reason) {
  implementation_->remove_blocker(reason);
}
Result<> Migration::save_device_state(const std::string& path, bool live) {
  return implementation_->save_device_state(path, live);
}
Result<> Migration::load_device_state(const std::string& path) {
  return implementation_->load_device_state(path);
}
Result<> Migration::measure_dirty_rate(const schema::CalcDirtyRateArguments& wanted) {
  return implementation_->measure_dirty_rate(wanted);
}
schema::DirtyRateInfo Migration::dirty_rate() const {
  return implementation_->dirty_rate();
}
Result<> Migration::set_vcpu_dirty_limit(std::optional<std::int64_t> vcpu, std::uint64_t mib_per_second) {
  return implementation_->set_dirty_limit(vcpu, mib_per_second);
}
Result<> Migration::cancel_vcpu_dirty_limit(std::optional<std::int64_t> vcpu) {
  return implementation_->cancel_dirty_limit(vcpu);
}
std::vector<schema::DirtyLimitInfo> Migration::vcpu_dirty_limits() const {
  return implementation_->dirty_limits();
}
void Migration::wait_until_idle() const {
  implementation_->wait_until_idle();
}

}  // namespace godwit
