// One host of a simulated migration: a guest, a clock, and what an engine needs.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include <godwit/migration.h>

#include "engine/dirty_limiter.h"
#include "engine/incoming/incoming_migration.h"
#include "engine/outgoing/outgoing_migration.h"
#include "engine/settings.h"
#include "engine/simulation/clock.h"
#include "engine/simulation/guest.h"
#include "engine/simulation/wire.h"
#include "engine/simulation/world.h"
#include "engine/status_machine.h"

namespace godwit::engine::simulation {

inline bool is_final(Status status) {
  return status == Status::completed || status == Status::failed || status == Status::cancelled;
}

class Party final : public MigrationObserver {
 public:
  Party(World& world, const Plan& plan, unsigned host, std::span<const Move> moves, RunState state)
      : guest(world, host, plan.pages, plan.seed * 8 + host, state),
        status(moves, [this](Status next) { moved(next); }),
        world_(world) {
    Capabilities capabilities;
    capabilities.set(Capability::events, true);
    capabilities.set(Capability::return_path, plan.mode == Mode::precopy_answered);
    capabilities.set(Capability::postcopy_ram, plan.mode == Mode::postcopy);
    capabilities.set(Capability::pause_before_switchover, plan.pause_before_switchover);
    capabilities.set(Capability::xbzrle, plan.xbzrle);
    settings.set(capabilities);
    schema::MigrateSetParameters parameters;
    parameters.downtime_limit = 0;  // converged is when nothing is left
    parameters.max_bandwidth = 0;
    static_cast<void>(settings.change(parameters));
  }

  void on_status(Status) override {}
  void on_pass(std::int64_t) override {}
  void on_incoming_failed(const Error&) override { world_.changed(); }

  void send(std::unique_ptr<channel::Channel> channel) {
    auto address = channel::parse_address("unix:/simulated", channel::Direction::outgoing);
    status.to({Status::none, Status::completed, Status::failed, Status::cancelled}, Status::setup);
    outgoing.reset();
    outgoing = std::make_unique<OutgoingMigration>(
        OutgoingContext{guest, *this, clock, settings, status, options, dirty_limiter},
        Target{.address = *std::move(address), .channel = std::move(channel)});
  }
  void resume(std::unique_ptr<channel::Channel> channel) {
    auto address = channel::parse_address("unix:/simulated", channel::Direction::outgoing);
    outgoing->resume(Target{.address = *std::move(address), .channel = std::move(channel)});
  }
  void listen(std::unique_ptr<channel::Channel> first) {
    auto made = std::make_unique<SimListener>();
    listener = made.get();
    listener->put(std::move(first));
    incoming = std::make_unique<IncomingMigration>(
        IncomingContext{guest, *this, clock, settings, status, options}, std::move(made));
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

  /// How often it has come to postcopy-paused.
  unsigned pauses() const {
    std::lock_guard lock(mutex_);
    return pauses_;
  }
  void forget_pauses() {
    std::lock_guard lock(mutex_);
    pauses_ = 0;
  }

  SimClock clock;
  Settings settings;
  MigrationOptions options;
  SimGuest guest;
  DirtyLimiter dirty_limiter{guest, clock};
  StatusMachine status;
  bool dead = false;
  std::unique_ptr<OutgoingMigration> outgoing;
  std::unique_ptr<IncomingMigration> incoming;
  SimListener* listener = nullptr;  ///< of `incoming`

 private:
  void moved(Status next) {
    {
      std::lock_guard lock(mutex_);
      if (next == Status::postcopy_paused) ++pauses_;
    }
    world_.changed();
  }

  World& world_;
  mutable std::mutex mutex_;
  unsigned pauses_ = 0;
};

}  // namespace godwit::engine::simulation
