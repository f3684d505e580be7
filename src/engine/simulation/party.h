// One host of a simulated migration: a guest, a clock, and what an engine needs.
#pragma once

#include <memory>
#include <string>

#include <godwit/migration.h>

#include "engine/dirty_limiter.h"
#include "engine/incoming/incoming_migration.h"
#include "engine/outgoing/outgoing_migration.h"
#include "engine/security.h"
#include "engine/settings.h"
#include "engine/simulation/clock.h"
#include "engine/simulation/credentials.h"
#include "engine/simulation/guest.h"
#include "engine/simulation/network.h"
#include "engine/simulation/world.h"
#include "engine/status_machine.h"

namespace godwit::engine::simulation {

inline bool is_final(Status status) {
  return status == Status::completed || status == Status::failed || status == Status::cancelled;
}

class Party final : public MigrationObserver {
 public:
  Party(World& world, const Plan& plan, unsigned host, std::span<std::byte> memory,
        std::span<const Move> moves, RunState state)
      : guest(world, host, memory, plan.blocks, plan.seed * 8 + host, state),
        status(moves, [&world](Status) { world.changed(); }),
        world_(world) {
    Capabilities capabilities;
    capabilities.set(Capability::events, true);
    capabilities.set(Capability::return_path, plan.mode == Mode::precopy_answered);
    capabilities.set(Capability::postcopy_ram, plan.mode == Mode::postcopy);
    capabilities.set(Capability::pause_before_switchover, plan.pause_before_switchover);
    capabilities.set(Capability::xbzrle, plan.xbzrle);
    capabilities.set(Capability::multifd, plan.multifd_channels > 0);
    capabilities.set(Capability::postcopy_preempt, plan.preempt);
    settings.set(capabilities);
    schema::MigrateSetParameters parameters;
    parameters.downtime_limit = 0;  // converged is when nothing is left
    parameters.max_bandwidth = 0;
    if (plan.multifd_channels > 0) parameters.multifd_channels = plan.multifd_channels;
    if (plan.tls)
      parameters.tls_creds = schema::StrOrNull{state == RunState::inmigrate ? "server" : "client"};
    options.tls = &anonymous_credentials();
    static_cast<void>(settings.change(parameters));
  }

  void on_status(Status) override {}
  void on_pass(std::int64_t) override {}
  void on_incoming_failed(const Error&) override { world_.changed(); }

  /// Moves the guest to whoever is behind the network.
  void send(Network& network) {
    status.to({Status::none, Status::completed, Status::failed, Status::cancelled}, Status::setup);
    outgoing.reset();
    OutgoingContext context{guest, *this, clock, settings, status, options, dirty_limiter};
    context.connect = [&network](const auto&, const auto&) { return network.connect(); };
    outgoing = std::make_unique<OutgoingMigration>(std::move(context), Target{.address = address()});
  }
  void resume() { outgoing->resume(Target{.address = address()}); }
  void listen(bool looks) {
    door = std::make_shared<Door>();
    std::unique_ptr<channel::Listener> listener = std::make_unique<SimListener>(door);
    if (looks) listener = secure(std::move(listener), settings, options.tls, patience);
    IncomingContext context{guest, *this, clock, settings, status, options};
    context.arrival_patience = patience;
    incoming = std::make_unique<IncomingMigration>(context, std::move(listener));
  }
  /// Its engine ends, as when the process does.
  void end() {
    if (outgoing) {
      outgoing->end();
      outgoing->wait_until_done();
      outgoing.reset();
    }
    if (incoming) guest.switch_off();  // who waits for a page gets zeros now
    incoming.reset();
    guest.wait_for_vcpu();
  }

  /// With a source that does not open its connections, or shows nothing: in real time.
  std::chrono::milliseconds patience{10'000};
  SimClock clock;
  Settings settings;
  MigrationOptions options;
  SimGuest guest;
  DirtyLimiter dirty_limiter{guest, clock};
  StatusMachine status;
  bool dead = false;
  std::unique_ptr<OutgoingMigration> outgoing;
  std::unique_ptr<IncomingMigration> incoming;
  std::shared_ptr<Door> door;  ///< of `incoming`

 private:
  static channel::Address address() {
    return *channel::parse_address("unix:/simulated", channel::Direction::outgoing);
  }

  World& world_;
};

}  // namespace godwit::engine::simulation
