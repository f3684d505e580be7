#include "engine/outgoing/session.h"

#include "base/fail.h"
#include "engine/device_state.h"
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
  if (dirty_rate.add(context.clock.now(), fresh)) {
    statistics.ram.dirty_pages_per_second = dirty_rate.pages_per_second();
    lanes.end_period();
    if (auto_converge)
      auto_converge->period_ended(dirty_rate.period_pages() * page_size, bytes_sent(),
                                  context.settings.parameters());
  }
  if (has(Capability::events)) context.observer.on_pass(static_cast<std::int64_t>(pass));
  return {};
}

void OutgoingSession::update_window() {
  RamCounters& counters = statistics.ram;
  if (!window.update(context.clock.now(), bytes_sent(), counters.pages_sent(),
                     context.settings.downtime_limit_ms()))
    return;
  counters.mbps = window.mbps();
  counters.pages_per_second = window.pages_per_second();
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
  const RunState before = context.guest.run_state();
  GODWIT_TRY(context.guest.set_run_state(RunState::finish_migrate));
  state_before_stop = before;
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
