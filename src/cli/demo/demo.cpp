#include "cli/demo/demo.h"

#include <algorithm>
#include <fstream>
#include <memory>

#include "base/fail.h"
#include "cli/demo/machine.h"
#include "cli/demo/move.h"
#include "cli/demo/verify.h"
#include "cli/quantity.h"

namespace godwit::cli::demo {
namespace {

constexpr Milliseconds tick{100};
/// Time without a page written after which the guest is taken for dead. A firmware may need its time first.
constexpr Milliseconds fill_stall_limit{20'000};
/// For how long the guest is watched where it is before it moves: enough to know the rate of its clock.
constexpr Milliseconds watch_time{700};
constexpr Milliseconds source_run_limit{5'000};

/// All the demo owns, in the order in which it has to go: machines first, then their directory.
class Demo {
 public:
  Demo(const Options& options, Audience& audience, const StopRequest& stop)
      : options_(options), audience_(audience), stop_(stop) {
    report_.options = options;
  }
  ~Demo();

  Result<> run();
  Report& report() { return report_; }

 private:
  Result<> start_machines();
  Result<> fill();
  Result<> watch_source();
  Result<> move();
  void introduce() const;

  const Options& options_;
  Audience& audience_;
  const StopRequest& stop_;
  Report report_;
  HostRate host_rate_;
  std::optional<TemporaryDirectory> directory_;
  std::unique_ptr<Machine> source_;
  std::unique_ptr<Machine> destination_;
  WitnessInfo before_;
  std::optional<GuestClock> clock_;
};

Demo::~Demo() {
  for (const auto& machine : {source_.get(), destination_.get()})
    if (machine) machine->process().request_end();  // both at once, then wait for each
}

Result<> Demo::run() {
  GODWIT_TRY(start_machines());
  introduce();
  if (auto filled = fill(); !filled)
    return std::unexpected(source_->explain(std::move(filled).error(), "filling"));
  if (auto watched = watch_source(); !watched)
    return std::unexpected(source_->explain(std::move(watched).error(), "before the move"));
  return move();
}

Result<> Demo::start_machines() {
  GODWIT_ASSIGN(auto directory, TemporaryDirectory::create());
  directory_.emplace(std::move(directory));
  // A short measurement is enough for the guest's pace; its record of gaps is read with a longer one.
  GODWIT_TRY(pause_until(after(Milliseconds(20)), stop_));
  report_.parameters = witness_parameters(options_, host_rate_.measure());
  const auto sector = witness_image(report_.parameters);
  // Each its own copy: a disk image may be locked by whoever uses it.
  for (const char* name : {"source.img", "destination.img"}) {
    std::ofstream file(directory_->file(name), std::ios::binary);
    file.write(reinterpret_cast<const char*>(sector.data()), static_cast<std::streamsize>(sector.size()));
    if (!file.flush()) return fail("cannot write {}", directory_->file(name));
  }
  GODWIT_ASSIGN(source_,
                Machine::start(Side::source, options_, directory_->file("source.img"), *directory_, stop_));
  GODWIT_ASSIGN(destination_, Machine::start(Side::destination, options_, directory_->file("destination.img"),
                                             *directory_, stop_));
  report_.source_version = source_->monitor().version();
  report_.destination_version = destination_->monitor().version();
  report_.source_pid = source_->process().pid();
  report_.destination_pid = destination_->process().pid();
  return {};
}

void Demo::introduce() const {
  const Canvas canvas = audience_.canvas();
  const auto row = [&](std::string_view label, const std::string& text) {
    return Line(canvas).add("  ").column(label, 10, Style::bold).add(text).text();
  };
  const auto hot = size_text(static_cast<double>(options_.hot_bytes));
  const auto pace = options_.dirty_rate == 0 ? std::string("as fast as it can")
                                             : "at " + rate_text(static_cast<double>(options_.dirty_rate));
  const auto side = [](const std::string& program, int pid, const std::string& version) {
    const auto name = program.substr(program.rfind('/') + 1);
    return fmt::format("process {}, {} {}", pid, name, version);
  };
  audience_.tell(
      {styled("A running guest moves from one process to another.", Style::bold, canvas),
       row("guest", fmt::format("{} of RAM, {}; rewrites {} of it {}",
                                size_text(static_cast<double>(options_.ram_bytes)),
                                options_.accelerator == Accelerator::kvm ? "KVM" : "emulated", hot, pace)),
       row("from", side(options_.source_vmm, report_.source_pid, report_.source_version)),
       row("to", side(options_.destination_vmm, report_.destination_pid, report_.destination_version)), ""});
}

Result<> Demo::fill() {
  const auto began = std::chrono::steady_clock::now();
  const std::uint64_t total = report_.parameters.fill_pages * page_bytes;
  Deadline stalled = after(fill_stall_limit);
  std::uint32_t last_pages = 0;
  for (;;) {
    GODWIT_ASSIGN(const auto info, read_info(source_->memory()));
    const auto elapsed = std::chrono::steady_clock::now() - began;
    const std::uint64_t filled = info.pass > 0 ? total : std::min(info.pages * page_bytes, total);
    audience_.filling({.elapsed = std::chrono::duration_cast<Milliseconds>(elapsed),
                       .filled_bytes = filled,
                       .total_bytes = total});
    report_.fill_seconds = std::chrono::duration<double>(elapsed).count();
    if (info.pass > 0) break;
    if (info.pages != last_pages) stalled = after(fill_stall_limit);
    last_pages = info.pages;
    if (std::chrono::steady_clock::now() >= stalled)
      return fail(Error(last_pages == 0 ? "the guest does not start"
                                        : "the guest does not go on filling its memory"));
    GODWIT_TRY(pause_until(after(tick), stop_));
  }
  audience_.phase_over();
  return {};
}

Result<> Demo::watch_source() {
  GODWIT_ASSIGN(const auto first, read_fresh_info(source_->memory(), host_rate_.measure(), stop_));
  GODWIT_TRY(pause_until(after(watch_time), stop_));
  GODWIT_ASSIGN(before_, read_fresh_info(source_->memory(), host_rate_.measure(), stop_));
  if (before_.iterations == first.iterations) return fail("the guest does not run");
  clock_.emplace(first, before_, host_rate_.measure());
  report_.ticks_per_second = clock_->ticks_per_second();
  const double elapsed = std::chrono::duration<double>(before_.host_time - first.host_time).count();
  report_.written_bytes_per_second = static_cast<double>(before_.pages - first.pages) * page_bytes / elapsed;
  return {};
}

Result<> Demo::move() {
  GODWIT_ASSIGN(const auto route, open_route(options_.transport, *source_, *destination_, *directory_));
  report_.uri = route.source_uri;
  GODWIT_ASSIGN(auto outcome, move_guest(*source_, *destination_, route, options_, audience_, stop_));
  report_.move = std::move(outcome.result);
  if (!report_.move->completed) {
    report_.error = std::move(outcome.problem);
    const auto runs = guest_runs(source_->memory(), source_run_limit, stop_);
    const auto now = read_info(source_->memory());
    report_.runs_on_source = runs.value_or(false) && now && now->errors == before_.errors;
    return {};
  }
  GODWIT_ASSIGN(report_.findings,
                verify(*destination_, report_.parameters, before_, *clock_, *report_.move, audience_, stop_));
  return {};
}

}  // namespace

Report run(const Options& options, Audience& audience, const StopRequest& stop) {
  Demo demo(options, audience, stop);
  if (auto done = demo.run(); !done) {
    audience.phase_over();
    demo.report().error = stop.signal() != 0 ? stop.taken().error().what() : done.error().explain();
  }
  return std::move(demo.report());
}

}  // namespace godwit::cli::demo
