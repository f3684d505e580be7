#include "cli/demo/verify.h"

#include "base/fail.h"
#include "cli/quantity.h"

namespace godwit::cli::demo {
namespace {

namespace command = schema::command;

constexpr Milliseconds run_limit{10'000};
/// The guest checks gigabytes per second in hardware; interpreted, far less. Only a lack of progress is an
/// error.
constexpr Milliseconds check_stall_limit{15'000};
constexpr Milliseconds check_tick{50};
constexpr std::uint32_t sample_pages = 2048;

/// Word for word, from outside, with the guest stopped.
Result<> check_from_outside(Machine& machine, const WitnessParameters& parameters, std::uint64_t seed,
                            Findings& findings, Audience& audience) {
  GODWIT_TRY(machine.monitor().execute<command::stop>());
  GODWIT_ASSIGN(const auto stopped, read_info(machine.memory()));
  audience.checking(
      {.what = fmt::format("{} pages it rewrites, every word", count_text(parameters.hot_pages)),
       .share = 0});
  GODWIT_ASSIGN(findings.hot, check_hot_pages(machine.memory(), parameters, stopped.pass));
  audience.checking({.what = "a sample of the pages written once, every word", .share = 0.4});
  GODWIT_ASSIGN(findings.sampled, check_static_pages(machine.memory(), parameters, sample_pages, seed));
  GODWIT_TRY(machine.monitor().execute<command::cont>());
  return {};
}

/// The guest itself looks at all pages it does not rewrite.
Result<> check_from_inside(GuestMemory& memory, const WitnessParameters& parameters, Findings& findings,
                           Audience& audience, const StopRequest& stop) {
  findings.static_pages = parameters.fill_pages - parameters.hot_pages;
  GODWIT_TRY(request_check(memory));
  GODWIT_ASSIGN(auto last, read_info(memory));
  const std::uint32_t first_page = last.pages;
  Deadline stalled = after(check_stall_limit);
  while (last.checking) {
    GODWIT_TRY(pause_until(after(check_tick), stop));
    GODWIT_ASSIGN(const auto now, read_info(memory));
    if (now.pages != last.pages) stalled = after(check_stall_limit);
    if (std::chrono::steady_clock::now() >= stalled)
      return fail("the guest does not finish the check of its memory");
    last = now;
    const double share =
        static_cast<double>(now.pages - first_page) / static_cast<double>(findings.static_pages + 1);
    audience.checking(
        {.what = fmt::format("{} pages written once, by the guest itself", count_text(findings.static_pages)),
         .share = 0.5 + 0.5 * std::min(share, 1.0)});
  }
  return {};
}

}  // namespace

Result<bool> guest_runs(GuestMemory& memory, Milliseconds limit, const StopRequest& stop) {
  const Deadline end = after(limit);
  GODWIT_ASSIGN(const auto first, read_info(memory));
  for (;;) {
    GODWIT_ASSIGN(const auto now, read_info(memory));
    if (now.iterations != first.iterations) return true;
    if (std::chrono::steady_clock::now() >= end) return false;
    GODWIT_TRY(pause_until(after(Milliseconds(2)), stop));
  }
}

Result<Findings> verify(Machine& destination, const WitnessParameters& parameters, const WitnessInfo& before,
                        const GuestClock& clock, const MoveResult& move, Audience& audience,
                        const StopRequest& stop) {
  Findings findings;
  auto& memory = destination.memory();
  const auto examine = [&]() -> Result<> {
    GODWIT_ASSIGN(const bool arrived, guest_runs(memory, run_limit, stop));
    if (!arrived) return {};
    GODWIT_ASSIGN(const auto after_move, read_fresh_info(memory, clock.ticks_per_second(), stop));
    GODWIT_ASSIGN(const auto gaps, read_gaps(memory, before.gaps, after_move.gaps - before.gaps));
    findings.blackout = find_blackout(clock, gaps, before, after_move, move.stopped, move.resumed);
    GODWIT_TRY(check_from_outside(destination, parameters, before.clock, findings, audience));
    GODWIT_TRY(check_from_inside(memory, parameters, findings, audience, stop));
    GODWIT_ASSIGN(findings.runs_on, guest_runs(memory, run_limit, stop));
    GODWIT_ASSIGN(const auto end, read_info(memory));
    findings.guest_errors = end.errors - before.errors;
    findings.page_writes = end.pages - before.pages;
    findings.guest_checked_words = findings.page_writes * parameters.words;
    return {};
  };
  auto examined = examine();
  audience.phase_over();
  if (!examined) return std::unexpected(destination.explain(std::move(examined).error(), "checking"));
  return findings;
}

}  // namespace godwit::cli::demo
