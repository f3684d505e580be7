#include "cli/demo/move.h"

#include <algorithm>
#include <utility>

#include "base/fail.h"
#include "cli/quantity.h"

namespace godwit::cli::demo {
namespace {

namespace command = schema::command;
using schema::MigrationStatus;

constexpr Milliseconds tick{100};
constexpr Milliseconds resume_limit{30'000};
constexpr Milliseconds settle_limit{5'000};
constexpr std::uint64_t no_bandwidth_limit = 100'000'000'000;

bool is_final(MigrationStatus status) {
  return status == MigrationStatus::completed || status == MigrationStatus::failed ||
         status == MigrationStatus::cancelled;
}

/// The time stamp of an event on the clock we measure with: both VMMs are on this host.
HostTime host_time(std::chrono::microseconds wall_clock) {
  const auto since = std::chrono::system_clock::now().time_since_epoch() - wall_clock;
  return std::chrono::steady_clock::now() - std::chrono::duration_cast<HostTime::duration>(since);
}

/// One move, from `migrate` to the guest's first step on the other side.
class Move {
 public:
  Move(Machine& source, Machine& destination, const Route& route, const Options& options, Audience& audience,
       const StopRequest& stop)
      : source_(source),
        destination_(destination),
        route_(route),
        options_(options),
        audience_(audience),
        stop_(stop) {}

  Result<> set_up();
  Result<> start();
  /// Until the source has come to an end, in whichever way, or the time is up.
  Result<> watch();
  Result<> await_resume();
  Result<> take_final_figures();
  MoveOutcome outcome() const;

 private:
  Result<> wait_for_news(Deadline deadline);
  Result<> take_events();
  Result<> query();
  void show();
  Result<> give_up();
  std::string why_not() const;

  Machine& source_;
  Machine& destination_;
  const Route& route_;
  const Options& options_;
  Audience& audience_;
  const StopRequest& stop_;

  HostTime started_;
  std::optional<std::chrono::microseconds> stop_event_;
  std::optional<std::chrono::microseconds> resume_event_;
  bool news_ = false;  // an event came that changes the figures
  bool out_of_time_ = false;
  schema::MigrationInfo info_;
  std::optional<std::uint64_t> expected_downtime_;
  std::optional<std::pair<HostTime, std::uint32_t>> last_pages_;
  std::optional<double> written_rate_;
};

Result<> Move::set_up() {
  schema::MigrateSetCapabilitiesArguments events;
  events.capabilities.push_back({schema::MigrationCapability::events, true});
  if (auto set = destination_.monitor().execute<command::migrate_set_capabilities>(events); !set)
    return std::unexpected(destination_.explain(std::move(set).error(), "set-up"));
  const auto set_up_source = [&]() -> Result<> {
    auto capabilities = events;
    // With a way back the move is complete only when the destination says so.
    if (route_.two_way) capabilities.capabilities.push_back({schema::MigrationCapability::return_path, true});
    GODWIT_TRY(source_.monitor().execute<command::migrate_set_capabilities>(capabilities));
    schema::MigrateSetParameters parameters;
    const std::uint64_t bandwidth = options_.bandwidth.value_or(0);
    parameters.max_bandwidth = bandwidth == 0 ? no_bandwidth_limit : bandwidth;
    parameters.downtime_limit = options_.downtime_limit_ms;
    GODWIT_TRY(source_.monitor().execute<command::migrate_set_parameters>(parameters));
    return {};
  };
  if (auto set = set_up_source(); !set)
    return std::unexpected(source_.explain(std::move(set).error(), "set-up"));
  return {};
}

Result<> Move::start() {
  started_ = std::chrono::steady_clock::now();
  schema::MigrateArguments arguments;
  arguments.uri = route_.source_uri;
  if (auto started = source_.monitor().execute<command::migrate>(arguments); !started)
    return std::unexpected(source_.explain(std::move(started).error(), "start of the move"));
  return {};
}

Result<> Move::watch() {
  const Deadline end = started_ + options_.time_limit;
  Deadline next_tick = started_;
  for (;;) {
    GODWIT_TRY(wait_for_news(std::min(next_tick, end)));
    const auto now = std::chrono::steady_clock::now();
    if (news_ || now >= next_tick) {
      news_ = false;
      next_tick = now + tick;
      if (auto asked = query(); !asked)
        return std::unexpected(source_.explain(std::move(asked).error(), "moving"));
      if (info_.status == MigrationStatus::completed) return {};  // its last figures are yet to come
      show();
      if (info_.status && is_final(*info_.status)) return {};
    }
    if (now >= end) return give_up();
  }
}

Result<> Move::wait_for_news(Deadline deadline) {
  const int fds[] = {source_.monitor().fd(), destination_.monitor().fd()};
  GODWIT_ASSIGN(const bool readable, wait_readable(fds, deadline, stop_));
  if (!readable) return {};
  // A destination that gives up says so by ending. The source notices, and it is the source that says whether
  // the guest has moved: so this is not the end.
  if (auto received = destination_.monitor().receive(); !received) {
    if (auto asked = query(); !asked)
      return std::unexpected(source_.explain(std::move(asked).error(), "moving"));
    if (!info_.status || !is_final(*info_.status))
      GODWIT_TRY(pause_until(std::min(deadline, after(Milliseconds(20))), stop_));
    news_ = true;
  }
  if (auto received = source_.monitor().receive(); !received)
    return std::unexpected(source_.explain(std::move(received).error(), "moving"));
  return take_events();
}

Result<> Move::take_events() {
  for (const auto& event : source_.monitor().take_events()) {
    if (event.name == "STOP") stop_event_ = event.time;
    news_ = true;
  }
  for (const auto& event : destination_.monitor().take_events()) {
    if (event.name == "RESUME") resume_event_ = event.time;
    news_ = true;
  }
  return {};
}

Result<> Move::query() {
  GODWIT_ASSIGN(info_, source_.monitor().execute<command::query_migrate>());
  if (info_.expected_downtime) expected_downtime_ = static_cast<std::uint64_t>(*info_.expected_downtime);
  if (stop_event_ || (info_.status && *info_.status != MigrationStatus::active)) return {};
  GODWIT_ASSIGN(const auto guest, read_info(source_.memory()));
  if (last_pages_) {
    const double elapsed = std::chrono::duration<double>(guest.host_time - last_pages_->first).count();
    if (elapsed < 0.05) return {};
    written_rate_ = static_cast<double>(guest.pages - last_pages_->second) * page_bytes / elapsed;
  }
  last_pages_ = {guest.host_time, guest.pages};
  return {};
}

void Move::show() {
  MoveFigures figures;
  figures.elapsed = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - started_);
  if (info_.status) figures.status = schema::to_string(*info_.status);
  if (info_.ram) {
    const auto& ram = *info_.ram;
    figures.passes = static_cast<std::uint64_t>(ram.dirty_sync_count);
    figures.transferred_bytes = static_cast<std::uint64_t>(ram.transferred);
    figures.remaining_bytes = static_cast<std::uint64_t>(ram.remaining);
    figures.total_bytes = static_cast<std::uint64_t>(ram.total);
    if (ram.mbps > 0) figures.bandwidth_bytes_per_second = ram.mbps * 1e6 / 8;
    if (ram.dirty_pages_rate > 0)
      figures.dirty_bytes_per_second =
          static_cast<double>(ram.dirty_pages_rate) * static_cast<double>(ram.page_size);
  }
  figures.written_bytes_per_second = written_rate_;
  if (expected_downtime_) figures.expected_downtime_ms = static_cast<std::int64_t>(*expected_downtime_);
  audience_.moving(figures);
}

Result<> Move::give_up() {
  out_of_time_ = true;
  const auto cancel = [&]() -> Result<> {
    GODWIT_TRY(source_.monitor().execute<command::migrate_cancel>());
    const Deadline end = after(settle_limit);
    do {
      GODWIT_TRY(query());
      if (info_.status && is_final(*info_.status)) return {};
      GODWIT_TRY(pause_until(after(Milliseconds(10)), stop_));
    } while (std::chrono::steady_clock::now() < end);
    return fail("the move cannot be cancelled: it stays in '{}'",
                info_.status ? schema::to_string(*info_.status) : "none");
  };
  const auto remaining = info_.ram;
  auto cancelled = cancel();
  if (!cancelled) return std::unexpected(source_.explain(std::move(cancelled).error(), "cancelling"));
  if (!info_.ram) info_.ram = remaining;
  return {};
}

Result<> Move::await_resume() {
  if (!route_.late_destination_uri.empty()) {
    schema::MigrateIncomingArguments arguments;
    arguments.uri = route_.late_destination_uri;
    if (auto started = destination_.monitor().execute<command::migrate_incoming>(arguments); !started)
      return std::unexpected(destination_.explain(std::move(started).error(), "loading"));
  }
  const Deadline end = after(resume_limit);
  while (!resume_event_) {
    const int fds[] = {destination_.monitor().fd()};
    GODWIT_ASSIGN(const bool readable, wait_readable(fds, end, stop_));
    if (!readable)
      return std::unexpected(
          Error("the guest was handed over and does not start").at(Side::destination, "resuming"));
    if (auto received = destination_.monitor().receive(); !received)
      return std::unexpected(destination_.explain(std::move(received).error(), "resuming"));
    GODWIT_TRY(take_events());
  }
  return {};
}

Result<> Move::take_final_figures() {
  // The status turns to completed a moment before the last figures are there; the run state turns after them.
  const auto settle = [&]() -> Result<> {
    const Deadline end = after(settle_limit);
    for (;;) {
      GODWIT_ASSIGN(const auto state, source_.monitor().execute<command::query_status>());
      if (state.status == schema::RunState::postmigrate) break;
      if (std::chrono::steady_clock::now() >= end)
        return fail("the run state after the move is '{}' and not 'postmigrate'",
                    schema::to_string(state.status));
      GODWIT_TRY(pause_until(after(Milliseconds(5)), stop_));
    }
    return query();
  };
  if (auto settled = settle(); !settled)
    return std::unexpected(source_.explain(std::move(settled).error(), "end"));
  GODWIT_TRY(take_events());
  show();
  return {};
}

std::string Move::why_not() const {
  if (out_of_time_) {
    auto text = fmt::format("the move did not come to an end within {} and was cancelled",
                            milliseconds_text(static_cast<double>(options_.time_limit.count())));
    if (info_.ram && expected_downtime_ && *expected_downtime_ > options_.downtime_limit_ms)
      text += fmt::format(
          ": the guest dirties its memory faster than it is sent, and to send the rest while it stands still "
          "would have "
          "taken {} ms, where {} are allowed; less --hot or --dirty-rate, or more --bandwidth or "
          "--downtime-limit, helps",
          *expected_downtime_, options_.downtime_limit_ms);
    return text;
  }
  return fmt::format("the source gave the move up: {}", info_.error_desc.value_or("it does not say why"));
}

MoveOutcome Move::outcome() const {
  MoveOutcome outcome;
  auto& result = outcome.result;
  result.completed = info_.status == MigrationStatus::completed;
  if (info_.status) result.status = schema::to_string(*info_.status);
  if (!result.completed) outcome.problem = why_not();
  result.ram = info_.ram.value_or(schema::MigrationStats{});
  result.total_ms = info_.total_time.value_or(0);
  result.setup_ms = info_.setup_time.value_or(0);
  result.downtime_ms = info_.downtime.value_or(0);
  if (stop_event_) result.stopped = host_time(*stop_event_);
  if (resume_event_) result.resumed = host_time(*resume_event_);
  if (stop_event_ && resume_event_)
    result.stop_to_resume_ms = static_cast<double>((*resume_event_ - *stop_event_).count()) / 1000;
  return outcome;
}

}  // namespace

Result<MoveOutcome> move_guest(Machine& source, Machine& destination, const Route& route,
                               const Options& options, Audience& audience, const StopRequest& stop) {
  Move move(source, destination, route, options, audience, stop);
  GODWIT_TRY(move.set_up());
  GODWIT_TRY(move.start());
  GODWIT_TRY(move.watch());
  auto outcome = move.outcome();
  if (outcome.result.completed) {
    GODWIT_TRY(move.await_resume());
    GODWIT_TRY(move.take_final_figures());
    outcome = move.outcome();
  }
  audience.phase_over();
  if (outcome.result.status == "failed" && destination.process().how_it_ended())
    outcome.problem += "; " + destination.explain(Error(""), "").what();
  return outcome;
}

}  // namespace godwit::cli::demo
