#include "engine/migration_implementation.h"

#include <algorithm>
#include <utility>

#include "base/exhaustion.h"
#include "base/fail.h"
#include "base/log.h"
#include "channel/connector.h"
#include "engine/device_state_file.h"
#include "engine/security.h"
#include "memory/postcopy_memory.h"

namespace godwit {

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
  auto prepared = or_exhausted([&] { return prepare(request, descriptors); });
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
  incoming_ = std::make_unique<engine::IncomingMigration>(
      engine::IncomingContext{guest_, observer_, clock_, settings_, incoming_status_, options_,
                              exit_on_error},
      std::move(listener));
  incoming_started_ = true;
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
  // With the thread that accepts. Where that cannot be had, it is the command that fails, and no one else.
  return or_exhausted([&]() -> Result<std::unique_ptr<channel::Listener>> {
    return engine::secure(std::move(listener), settings_, options_.tls);
  });
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

}  // namespace godwit
