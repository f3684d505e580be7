#include "engine/outgoing/outgoing_migration.h"

#include <utility>

#include "base/exhaustion.h"
#include "base/fail.h"
#include "base/log.h"
#include "base/thread.h"
#include "engine/guest_run_state.h"
#include "engine/outgoing/postcopy_phase.h"
#include "engine/outgoing/precopy_phase.h"
#include "engine/outgoing/setup_phase.h"
#include "engine/outgoing/switchover_phase.h"
#include "engine/probes.h"

namespace godwit::engine {

OutgoingMigration::OutgoingMigration(OutgoingContext context, Target target)
    : session_(context), address_(std::move(target.address)), recovery_(session_, address_) {
  session_.channel.put(std::move(target.channel), false);
  session_.statistics.started_ns = context.clock.now().count();
  session_.statistics.expected_downtime_ms = static_cast<std::int64_t>(context.settings.downtime_limit_ms());
  thread_ = start_thread("migration", [this](std::stop_token) { run(); });
}

OutgoingMigration::~OutgoingMigration() = default;

Result<> OutgoingMigration::cancel() {
  using enum Status;
  StatusMachine& status = session_.context.status;
  // A destination that has never said that it is about to run the guest may never have had it: whoever knows
  // can end the attempt here, and start the guest by hand.
  const bool undecided = session_.ownership.owner() != Owner::there;
  constexpr std::pair<Status, Probe> kMayEnd[] = {{setup, Probe::cancelled_in_setup},
                                                  {active, Probe::cancelled_in_active},
                                                  {pre_switchover, Probe::cancelled_at_switchover},
                                                  {device, Probe::cancelled_at_switchover},
                                                  {postcopy_paused, Probe::cancelled_while_paused}};
  for (const auto& [from, probe] : kMayEnd) {
    if ((from == postcopy_paused && !undecided) || !status.to(from, cancelling)) continue;
    reached(probe);
    session_.end();
    return {};
  }
  if (is_postcopy(status.status())) {
    reached(Probe::cancel_refused);
    return fail("Postcopy migration in progress, cannot cancel.");
  }
  return {};
}

void OutgoingMigration::end() {
  if (!cancel()) log::warn("the process ends in the middle of a postcopy: the destination lacks pages");
  session_.end();
}

void OutgoingMigration::start_postcopy() {
  session_.postcopy_wanted = true;
  session_.wake.set();
}

void OutgoingMigration::pause() {
  session_.shut_down_channels();
  session_.polled_wake.wake();
}

std::optional<std::string> OutgoingMigration::error_text() const {
  std::lock_guard lock(mutex_);
  return error_text_;
}

void OutgoingMigration::store_error(const Error& error) {
  std::lock_guard lock(mutex_);
  error_text_ = error.what();
}

void OutgoingMigration::run() {
  if (auto result = or_exhausted([this] { return transfer(); }); result)
    finish_completed();
  else
    finish_failed(result.error());
  done_.set();
}

Result<> OutgoingMigration::transfer() {
  GODWIT_TRY(connect(session_, address_));
  GODWIT_TRY(set_up(session_));
  GODWIT_ASSIGN(const PrecopyEnd end, send_while_running(session_));
  return end == PrecopyEnd::converged ? switch_over(session_) : transfer_by_postcopy();
}

Result<> OutgoingMigration::transfer_by_postcopy() {
  PostcopyPhase postcopy(session_);
  GODWIT_TRY(postcopy.switch_over());
  while (true) {
    // The pages are nowhere else: what has run out here is made up for later.
    auto served = or_exhausted([&] { return postcopy.serve(); });
    // The destination has refused the guest: it is ours again, and the attempt has failed.
    if (served || session_.ownership.may_run_here()) return served;
    session_.ram.stop();
    GODWIT_TRY(recovery_.run(postcopy, served.error()));
  }
}

void OutgoingMigration::finish_completed() {
  const OutgoingContext& context = session_.context;
  Statistics& statistics = session_.statistics;
  const Nanoseconds now = context.clock.now();
  const bool by_postcopy = context.status.status() == Status::postcopy_active;
  if (!by_postcopy) statistics.downtime_ms = to_ms(now - session_.stopped_at);
  statistics.total_ms = to_ms(now - Nanoseconds(statistics.started_ns.load()));
  const std::int64_t moving_ms = statistics.total_ms - statistics.setup_ms;
  if (moving_ms > 0)
    statistics.ram.mbps = static_cast<double>(session_.bytes_before + session_.bytes_sent()) * 8.0 /
                          static_cast<double>(moving_ms) / 1000.0;
  session_.ram.stop();
  session_.release_guest();
  session_.close_channels();
  set_run_state(RunState::postmigrate);
  if (!context.status.to({Status::active, Status::device, Status::postcopy_active}, Status::completed))
    context.status.to(Status::cancelling, Status::cancelled);
}

void OutgoingMigration::finish_failed(const Error& error) {
  const OutgoingContext& context = session_.context;
  session_.ram.stop();
  session_.release_guest();
  give_guest_back();
  with_reserve([&] { report(error); });
  session_.close_channels();
  session_.statistics.total_ms =
      to_ms(context.clock.now() - Nanoseconds(session_.statistics.started_ns.load()));
  using enum Status;
  if (!context.status.to({setup, active, pre_switchover, device, postcopy_active}, failed))
    context.status.to(cancelling, cancelled);
}

void OutgoingMigration::report(Error error) {
  if (auto broken = session_.lanes.error()) error = *std::move(broken);  // what came first
  if (!session_.ownership.may_run_here())
    error = std::move(error)
                .in("The destination may be running the guest")
                .advise("look at the destination; only if it does not run the guest, 'cont' here");
  error = std::move(error).at(Side::source, "migrating");
  if (session_.context.status.status() != Status::cancelling) log::warn("{}", error.explain());
  store_error(error);
}

/// Before anything else that takes time: a guest that is ours and ran before runs again.
void OutgoingMigration::give_guest_back() {
  if (!session_.state_before_stop) return;
  const bool run = session_.ownership.may_run_here() && *session_.state_before_stop == RunState::running;
  if (run) reached(Probe::given_back_running);
  set_run_state(run ? RunState::running : RunState::postmigrate);
}

void OutgoingMigration::set_run_state(RunState state) {
  auto set = engine::set_run_state(session_.context.guest, state);
  if (!set) log::error("after the migration: {}", set.error().explain());
}

}  // namespace godwit::engine
