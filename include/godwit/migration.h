// The engine: moves one Guest out of this process, or into it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <godwit/clock.h>
#include <godwit/descriptors.h>
#include <godwit/guest.h>
#include <godwit/result.h>
#include <godwit/schema/types.h>
#include <godwit/tls.h>

namespace godwit {

/// Told what happens, in order, on the engine's threads. Implementations return soon and do not call back.
class MigrationObserver {
 public:
  virtual ~MigrationObserver() = default;

  /// The MIGRATION event. Only called when it is due: with the `events` capability, or for the incoming
  /// `setup`, which is always announced (control-plane section 4.2).
  virtual void on_status(schema::MigrationStatus status) = 0;
  /// The MIGRATION_PASS event.
  virtual void on_pass(std::int64_t pass) = 0;
  /// The incoming migration failed after loading began: the process has no guest and ends with exit status 1.
  virtual void on_incoming_failed(const Error& error) = 0;
};

/// What is fixed when the process starts (the `migration` object's properties, -incoming, -only-migratable).
struct MigrationOptions {
  bool send_configuration = true;   ///< both sides must agree; also expected when loading
  bool send_section_footer = true;  ///< both sides must agree; also expected when loading
  bool send_description = true;     ///< the JSON description after the end of the stream
  bool store_global_state = true;   ///< off: `globalstate` only for states other than running and paused
  bool only_migratable = false;
  bool incoming_expected = false;  ///< started with -incoming: the guest waits
  /// Where `tls-creds` and `tls-authz` are looked up; outlives the Migration. Null: there are none.
  const TlsObjects* tls = nullptr;
};

/// One per guest and process. All methods are thread-safe. Methods named after monitor commands behave as
/// control-plane sections 7 to 9 say, error texts included; they never wait for the peer.
class Migration {
 public:
  /// `guest`, `observer` and `clock` outlive the Migration.
  Migration(Guest& guest, MigrationObserver& observer, Clock& clock, MigrationOptions options = {});
  /// Cancels what is in progress and joins the threads.
  ~Migration();
  Migration(const Migration&) = delete;
  Migration& operator=(const Migration&) = delete;

  Result<> set_capabilities(const std::vector<schema::MigrationCapabilityStatus>& changes);
  std::vector<schema::MigrationCapabilityStatus> capabilities() const;
  Result<> set_parameters(const schema::MigrateSetParameters& changes);
  schema::MigrationParameters parameters() const;
  schema::MigrationInfo info() const;

  /// Starts moving the guest to `request.uri`. Returns when the attempt has started.
  Result<> migrate(const schema::MigrateArguments& request, DescriptorSource& descriptors);
  /// Ends the outgoing migration. Harmless when there is none. Refused in postcopy, when the destination has
  /// the guest.
  Result<> cancel();
  Result<> proceed(schema::MigrationStatus expected);                     ///< migrate-continue
  Result<> start_postcopy();                                              ///< migrate-start-postcopy
  Result<> pause();                                                       ///< migrate-pause
  Result<> recover(std::string_view uri, DescriptorSource& descriptors);  ///< migrate-recover

  /// Listens on `uri` (migrate-incoming, and -incoming with a URI). Without `exit_on_error` the observer is
  /// not told of a failure to load: the status says so, and why.
  Result<> incoming(std::string_view uri, DescriptorSource& descriptors, bool exit_on_error = true);

  /// A feature that stops migration as long as it is in use; refused while a migration is in progress.
  Result<> add_blocker(std::string reason);
  void remove_blocker(std::string_view reason);

  /// Device state without RAM, in the stream's format (xen-save-devices-state, xen-load-devices-state).
  Result<> save_device_state(const std::string& path, bool live);
  Result<> load_device_state(const std::string& path);

  /// calc-dirty-rate: how fast the guest writes, measured without moving it. A migration that starts
  /// meanwhile ends a measurement by the dirty tracker, which it needs itself.
  Result<> measure_dirty_rate(const schema::CalcDirtyRateArguments& wanted);
  schema::DirtyRateInfo dirty_rate() const;

  /// set-vcpu-dirty-limit: how many MiB per second one vCPU may write at most, or each of them. Also the
  /// limit of the capability `dirty-limit` shows in vcpu_dirty_limits().
  Result<> set_vcpu_dirty_limit(std::optional<std::int64_t> vcpu, std::uint64_t mib_per_second);
  Result<> cancel_vcpu_dirty_limit(std::optional<std::int64_t> vcpu);
  /// The vCPUs that are limited.
  std::vector<schema::DirtyLimitInfo> vcpu_dirty_limits() const;

  /// Waits until no outgoing migration is in progress. For tests and for an orderly end.
  void wait_until_idle() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace godwit
