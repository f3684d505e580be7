#include "engine/outgoing/precopy_phase.h"

#include "base/fail.h"

namespace godwit::engine {
namespace {

/// A slice ends after this long, so that convergence is looked at often enough.
constexpr Nanoseconds kSliceTime = 50ms;

Result<> send_slice(OutgoingSession& session) {
  const OutgoingContext& context = session.context;
  const Nanoseconds until = context.clock.now() + kSliceTime;
  const SliceLimits limits = {
      .bytes_left = [&] { return session.quota_left(context.settings.max_bandwidth()); },
      .expired = [&] { return session.cancelled() || context.clock.now() >= until; },
  };
  session.begin_ram_section(wire::RecordType::section_part);
  GODWIT_TRY(session.ram.send_slice(*session.out, limits));
  GODWIT_TRY(session.end_ram_section());
  return session.out->flush();
}

}  // namespace

Result<PrecopyEnd> send_while_running(OutgoingSession& session) {
  const OutgoingContext& context = session.context;
  while (!session.cancelled()) {
    const std::uint64_t threshold = session.window.threshold_bytes();
    const auto small_enough = [&] {
      return session.ram.remaining_bytes() == 0 || session.ram.remaining_bytes() < threshold;
    };
    if (small_enough()) GODWIT_TRY(session.synchronize());
    if (small_enough()) return PrecopyEnd::converged;
    if (session.postcopy_wanted) return PrecopyEnd::postcopy;
    GODWIT_TRY(send_slice(session));
    session.update_window();
    GODWIT_TRY(session.look_at_writes());
    if (session.quota_left(context.settings.max_bandwidth()) == 0) {
      if (context.clock.wait_for(session.wake, session.window.ends_at() - context.clock.now()))
        session.wake.clear();
      session.update_window();
    }
  }
  return fail("The migration was cancelled");
}

}  // namespace godwit::engine
