#include "engine/outgoing/session.h"

#include <algorithm>

#include "base/fail.h"
#include "base/log.h"
#include "engine/device_state.h"
#include "engine/outgoing/auto_lanes.h"
#include "engine/outgoing/page_sample.h"
#include "wire/record.h"

namespace godwit::engine {

void OutgoingSession::end() {
  ending = true;
  wake.set();
  polled_wake.wake();
  proceed.set();
  interrupt.interrupt();
  shut_down_channels();
}

void OutgoingSession::shut_down_channels() noexcept {
  channel.shutdown();
  urgent_channel.shutdown();
  lanes.shutdown();
}

Result<> OutgoingSession::synchronize() {
  GODWIT_ASSIGN(const std::uint64_t fresh, ram.synchronize());
  remaining_at_sync = ram.remaining_bytes();
  const std::uint64_t pass = ++statistics.ram.synchronizations;
  if (pass == 2 && has(Capability::x_auto_lanes) && !state_before_stop) choose_lanes(fresh);
  count_written(fresh);
  if (has(Capability::events)) context.observer.on_pass(static_cast<std::int64_t>(pass));
  return {};
}

Result<> OutgoingSession::look_at_writes() {
  if (!auto_converge || lanes.deltas_pay() || !dirty_rate.is_over(context.clock.now())) return {};
  // A guest does not run slower than it must: in the first pass just so early that the steps are taken when
  // it ends.
  const std::uint64_t bytes_per_ms =
      std::max<std::uint64_t>(static_cast<std::uint64_t>(window.bytes_per_ms()), 1);
  const Milliseconds time_left(static_cast<std::int64_t>(ram.remaining_bytes() / bytes_per_ms));
  if (ram.first_pass() && time_left > time_to_largest_throttle(context.settings.parameters())) return {};
  GODWIT_ASSIGN(const std::uint64_t written, ram.look());
  count_written(written);
  return {};
}

void OutgoingSession::count_written(std::uint64_t pages) {
  if (!dirty_rate.add(context.clock.now(), pages)) return;
  statistics.ram.dirty_pages_per_second = dirty_rate.pages_per_second();
  lanes.end_period();
  if (periods_left_to_deltas > 0 && lanes.deltas_pay())
    --periods_left_to_deltas;
  else if (auto_converge)
    auto_converge->period_ended(dirty_rate.period_pages() * page_size, bytes_sent(),
                                context.settings.parameters());
  if (limit_converge)
    limit_converge->period_ended(dirty_rate.period_pages() * page_size, bytes_sent(),
                                 context.settings.parameters());
}

void OutgoingSession::choose_lanes(std::uint64_t hot_pages) {
  // Deltas get so many periods of the dirty rate to come to an end by themselves, as long as they are small.
  constexpr int periods_for_deltas = 6;
  const RamCounters& ram_counters = statistics.ram;
  const auto sent = static_cast<double>(ram_counters.pages_sent());
  LaneFigures figures;
  figures.bandwidth = static_cast<std::uint64_t>(lanes.best_bytes_per_ms() * 1000);
  figures.hot_bytes = hot_pages * page_size;
  figures.first_pass_s =
      std::chrono::duration<double>(context.clock.now() - Nanoseconds(statistics.started_ns.load())).count();
  figures.ram_bytes = ram_counters.total_bytes;
  figures.downtime_ms = context.settings.downtime_limit_ms();
  figures.zero_share = sent > 0 ? static_cast<double>(ram_counters.zero_pages) / sent : 0;
  figures.compressibility = sample_compressibility(context.guest.ram_blocks());
  figures.channels = lanes.trial_channels();
  figures.can_compress = has(Capability::compress);
  figures.may_throttle = !limit_converge;
  figures.cache_bytes = context.settings.xbzrle_cache_size();
  schema::AutoLanesInfo choice = engine::choose_lanes(figures);
  if (has(Capability::mapped_ram)) choice.xbzrle = false, choice.xbzrle_cache_size = 0;
  lanes.choose(choice);
  if (choice.auto_converge && !auto_converge) {
    auto_converge.emplace(context.guest, statistics.throttle_percent);
    periods_left_to_deltas = periods_for_deltas;
  }
  log::info(
      "auto lanes: {} MiB/s, {} MiB written to in {:.1f} s, {:.0f} % zero pages, compressible {:.1f} times: "
      "{}",
      figures.bandwidth >> 20, figures.hot_bytes >> 20, figures.first_pass_s, figures.zero_share * 100,
      figures.compressibility, choice.reason);
  auto_lanes.set(std::move(choice));
}

void OutgoingSession::update_window() {
  RamCounters& counters = statistics.ram;
  if (!window.update(context.clock.now(), bytes_sent(), counters.pages_sent(),
                     context.settings.downtime_limit_ms(), statistics.spared_bytes()))
    return;
  counters.mbps = window.mbps();
  counters.pages_per_second = window.pages_per_second();
  lanes.window_ended(window.bytes_per_ms());
  if (dirty_rate.pages_per_second() != 0 && window.window_bytes() > 10'000)
    statistics.expected_downtime_ms =
        static_cast<std::int64_t>(static_cast<double>(remaining_at_sync) / window.bytes_per_ms());
}

void OutgoingSession::begin_ram_section(wire::RecordType type) {
  wire::encode_section_id(out->pending(), type, ram_section_id);
}

Result<> OutgoingSession::end_ram_section() {
  GODWIT_TRY(ram.finish_section(*out));
  wire::encode_end_of_section(out->pending());
  ram.count_bytes(8);
  if (context.options.send_section_footer) wire::encode_footer(out->pending(), ram_section_id);
  return {};
}

Result<> OutgoingSession::stop_guest() {
  state_before_stop = context.guest.run_state();  // first: one that stops and fails nevertheless runs again
  GODWIT_TRY(context.guest.set_run_state(RunState::finish_migrate));
  ram.guest_stopped();
  return {};
}

Result<> OutgoingSession::wait_before_switchover(Status next) {
  proceed.clear();
  if (!context.status.to(Status::active, Status::pre_switchover)) return fail("The migration was cancelled");
  proceed.wait();
  if (!context.status.to(Status::pre_switchover, next)) return fail("The migration was cancelled");
  return {};
}

void OutgoingSession::close_channels() {
  shut_down_channels();
  lanes.close();
  return_path.reset();
  for (const auto& writer : {out.get(), urgent_out.get()})
    if (writer) bytes_before += writer->bytes();
  out.reset();
  urgent_out.reset();
  channel.close();
  urgent_channel.close();
}

}  // namespace godwit::engine
