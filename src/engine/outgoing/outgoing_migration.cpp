#include "engine/outgoing/outgoing_migration.h"

#include <utility>

#include "base/log.h"
#include "base/thread.h"
#include "engine/outgoing/precopy_phase.h"
#include "engine/outgoing/setup_phase.h"
#include "engine/outgoing/switchover_phase.h"

namespace godwit::engine {

OutgoingMigration::OutgoingMigration(OutgoingContext context, channel::Address address,
                                     std::unique_ptr<channel::Channel> channel)
    : session_(context), address_(std::move(address)) {
  session_.channel.put(std::move(channel), false);
  session_.statistics.started_ns = context.clock.now().count();
  session_.statistics.expected_downtime_ms = static_cast<std::int64_t>(context.settings.downtime_limit_ms());
  thread_ = start_thread("migration", [this](std::stop_token) { run(); });
}

OutgoingMigration::~OutgoingMigration() = default;

void OutgoingMigration::cancel() {
  using enum Status;
  if (!session_.context.status.to({setup, active, pre_switchover, device}, cancelling)) return;
  session_.wake.set();
  session_.proceed.set();
  session_.interrupt.interrupt();
  session_.channel.shutdown();
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
  if (auto result = transfer(); result)
    finish_completed();
  else
    finish_failed(std::move(result).error());
  done_.set();
}

Result<> OutgoingMigration::transfer() {
  GODWIT_TRY(connect(session_, address_));
  GODWIT_TRY(set_up(session_));
  GODWIT_TRY(send_while_running(session_));
  return switch_over(session_);
}

void OutgoingMigration::finish_completed() {
  const OutgoingContext& context = session_.context;
  Statistics& statistics = session_.statistics;
  const Nanoseconds now = context.clock.now();
  statistics.downtime_ms = to_ms(now - session_.stopped_at);
  statistics.total_ms = to_ms(now - Nanoseconds(statistics.started_ns.load()));
  const std::int64_t moving_ms = statistics.total_ms - statistics.setup_ms;
  if (moving_ms > 0)
    statistics.ram.mbps =
        static_cast<double>(session_.out->bytes()) * 8.0 / static_cast<double>(moving_ms) / 1000.0;
  session_.ram.stop();
  session_.close_channel();
  if (auto state = context.guest.set_run_state(RunState::postmigrate); !state)
    log::error("after the migration: {}", state.error().explain());
  if (!context.status.to({Status::active, Status::device}, Status::completed))
    context.status.to(Status::cancelling, Status::cancelled);
}

void OutgoingMigration::finish_failed(Error error) {
  const OutgoingContext& context = session_.context;
  const bool was_cancelled = context.status.status() == Status::cancelling;
  session_.ram.stop();
  give_guest_back();
  session_.close_channel();
  session_.statistics.total_ms =
      to_ms(context.clock.now() - Nanoseconds(session_.statistics.started_ns.load()));
  if (!session_.ownership.may_run_here())
    error = std::move(error)
                .in("The destination may be running the guest")
                .advise("look at the destination; only if it does not run the guest, 'cont' here");
  error = std::move(error).at(Side::source, "migrating");
  if (!was_cancelled) log::warn("{}", error.explain());
  store_error(error);
  using enum Status;
  if (!context.status.to({setup, active, pre_switchover, device}, failed))
    context.status.to(cancelling, cancelled);
}

/// Before anything else that takes time: a guest that is ours and ran before runs again.
void OutgoingMigration::give_guest_back() {
  if (!session_.state_before_stop) return;
  const bool run = session_.ownership.may_run_here() && *session_.state_before_stop == RunState::running;
  if (auto state = session_.context.guest.set_run_state(run ? RunState::running : RunState::postmigrate);
      !state)
    log::error("after the failed migration: {}", state.error().explain());
}

}  // namespace godwit::engine
