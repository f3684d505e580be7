#include "engine/simulation/run.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <memory>
#include <utility>

#include "engine/simulation/party.h"

namespace godwit::engine::simulation {
namespace {

using namespace std::chrono_literals;

/// When one side is at rest the other one hears of it at once, or its system gives the connection up.
constexpr auto kGiveUp = 300ms;
/// No run takes so long, unless a thread waits for what cannot come. A turn of the driver counts as kGiveUp
/// at most: the machine may have stood still meanwhile.
constexpr auto kHangs = 30s;

/// Longer than a side in postcopy waits for a sign of the other one.
constexpr auto kPostcopyTimeout = 15s;
/// After the last fault of the plan the second time works, if any does.
constexpr unsigned kMostResumed = 20;
/// Of the first destination with a source that has gone away.
constexpr auto kPatience = 300ms;

constexpr std::string_view kEnded[] = {"cancelled",
                                       "failed, runs at the source",
                                       "completed",
                                       "runs at the destination without a source",
                                       "lost with the source",
                                       "lost with the destination",
                                       "stands at the source, for the operator to decide"};
static_assert(std::size(kEnded) == static_cast<std::size_t>(Ended::count));

struct Hang {};

class Run {
 public:
  Run(const Plan& plan, HostMemory& memory)
      : plan_(plan),
        memory_(memory),
        source_(std::make_unique<Party>(world_, plan_, 1u, memory_.of(1, plan_.pages), outgoing_moves(),
                                        RunState::paused)),
        destination_(new_destination(2)) {
    source_->guest.passes = plan_.passes;
    source_->guest.writes_always = plan_.mode == Mode::postcopy;
    if (plan_.state_does_not_load) source_->guest.device.mode = 9;
    destination_->guest.does_not_start = plan_.guest_does_not_start;
    destination_->patience = kPatience;
    source_->guest.boot(false);
    if (!plan_.starts_stopped) expect(source_->guest.set_run_state(RunState::running).has_value(), "boots");
  }

  Outcome go() {
    Outcome outcome;
    try {
      begin();
      while (migrate_on()) connect_again();
      judge();
      outcome.ended = where();
      world_.end();  // a fault that comes only now does not: an engine that waits for it could not be ended
      retry();
      source_->end();
      destination_->end();
      expect(!source_->guest.tracker.running(), "the dirty log is off when the engine has ended");
    } catch (const Hang&) {
      outcome.hangs = true;
      world_.violated(fmt::format("hangs: source {}, destination {}",
                                  schema::to_string(source_->status.status()),
                                  schema::to_string(destination_->status.status())));
    }
    outcome.happened = network_.happened();
    // Bytes that come twice make another stream, which may be a good one: no socket does that, and only TLS
    // notices. Such a run has to come to its end.
    const bool falsified = !plan_.tls && outcome.happened[static_cast<std::size_t>(Fault::duplicate)] > 0;
    if (!falsified || outcome.hangs) outcome.violations = world_.violations();
    return outcome;
  }

 private:
  std::unique_ptr<Party> new_destination(unsigned host) {
    const auto memory =
        plan_.preallocated ? memory_.zeroed(host, plan_.pages) : memory_.untouched(host, plan_.pages);
    auto party = std::make_unique<Party>(world_, plan_, host, memory, incoming_moves(), RunState::inmigrate);
    party->guest.lazy = plan_.mode == Mode::postcopy;
    party->guest.touches = plan_.touches;
    return party;
  }

  std::vector<Trigger> next_faults() {
    return attempt_ < plan_.attempts.size() ? plan_.attempts[attempt_++] : std::vector<Trigger>{};
  }

  void begin_network() {
    network_.begin(next_faults(), destination_->door, {&source_->clock, &destination_->clock});
  }

  /// The destination listens already if it is the one that nothing came to.
  void begin() {
    static_cast<void>(world_.take_stuck());  // of an attempt before
    if (!destination_->incoming) destination_->listen(plan_.looked_at);
    begin_network();
    source_->send(network_);
    if (plan_.mode == Mode::postcopy) source_->outgoing->start_postcopy();
  }

  void connect_again() {
    if (++resumed_ > kMostResumed) throw Hang{};
    begin_network();
    source_->resume();
  }

  /// Until both sides are at rest. True: both are paused, and can go on.
  bool migrate_on() {
    unsigned silences = 0;
    std::chrono::steady_clock::duration taken{0};
    for (auto turn_began = std::chrono::steady_clock::now();;) {
      while (const auto fault = world_.next_request()) {
        perform(*fault);
        world_.done();
      }
      if (source_->status.status() == Status::pre_switchover) source_->outgoing->proceed();
      const bool source_rests = source_is_at_rest();
      const bool destination_rests = destination_is_at_rest(source_rests);
      if (source_rests && destination_rests) break;
      if (world_.take_stuck()) end_silence(silences++);
      if ((source_rests || destination_rests) && network_.is_silent()) network_.cut(true);
      if (!world_.wait(kGiveUp)) {
        if (source_rests || destination_rests) network_.cut(true);
        // Threads that wait for a descriptor alone do not move the clocks.
        for (SimClock* clock : {&source_->clock, &destination_->clock}) clock->advance(kPostcopyTimeout);
      }
      const auto now = std::chrono::steady_clock::now();
      taken += std::min<std::chrono::steady_clock::duration>(now - std::exchange(turn_began, now), kGiveUp);
      if (taken > kHangs) throw Hang{};
    }
    if (source_->outgoing && is_final(source_->status.status())) source_->outgoing->wait_until_done();
    return !source_->dead && !destination_->dead && is_paused(*source_) && is_paused(*destination_);
  }

  static bool is_paused(const Party& party) { return party.status.status() == Status::postcopy_paused; }
  bool source_is_at_rest() const {
    return source_->dead || is_final(source_->status.status()) ||
           (is_paused(*source_) && network_.is_left_by(Side::source));
  }
  /// A destination that was paused as soon as it had the package may still be about to run the guest, or to
  /// refuse it. One that nothing has come to waits for another source.
  bool destination_is_at_rest(bool source_rests) const {
    if (destination_->dead || is_final(destination_->status.status())) return true;
    if (!is_paused(*destination_))
      return destination_->status.status() == Status::none && source_rests &&
             network_.is_left_by(Side::destination);
    // The channels of multifd have nothing to bring any more, and are kept to the end.
    return world_.has_run(destination_->guest.host()) &&
           network_.is_left_by(Side::destination, plan_.multifd_channels > 0 ? 1 : plan_.connections());
  }

  void perform(Fault fault) {
    switch (fault) {
      case Fault::crash_source:
        return crash(*source_);
      case Fault::crash_destination:
        return crash(*destination_);
      case Fault::cancel:
        static_cast<void>(source_->outgoing->cancel());  // refused in postcopy
        return;
      case Fault::pause_source:
        if (source_->status.status() == Status::postcopy_active) source_->outgoing->pause();
        return;
      case Fault::pause_destination:
        if (destination_->status.status() == Status::postcopy_active) destination_->incoming->pause();
        return;
      default:
        return;
    }
  }

  void crash(Party& party) {
    party.dead = true;
    party.guest.die();
    network_.cut(plan_.seed % 2 == 0);
  }

  void end_silence(unsigned before) {
    switch (before == 0 ? network_.ending() : Ending::give_up) {
      case Ending::release:
        break;
      case Ending::cancel:
        if (!source_->outgoing->cancel()) return network_.cut(true);  // refused in postcopy
        return network_.release();                                    // a cancelled source ends by itself
      case Ending::pause:
        perform(Fault::pause_source);  // in precopy there is nothing to pause
        break;
      default:
        return network_.cut(true);
    }
    network_.release();
    if (network_.is_silent()) network_.cut(true);
  }

  // ---- what must hold

  void expect(bool holds, std::string_view what) {
    if (!holds) world_.violated(std::string(what));
  }
  bool runs(const Party& party) const { return world_.is_running(party.guest.host()); }
  bool is_at_destination() const {
    return world_.has_run(destination_->guest.host()) ||
           (!destination_->dead && destination_->status.status() == Status::completed);
  }

  void judge() {
    if (!source_->dead) judge_source();
    if (!destination_->dead) judge_destination();
    if (destination_->status.status() == Status::completed && !destination_->dead) compare();
  }

  void judge_source() {
    const Status status = source_->status.status();
    const bool ours = source_->outgoing->owner() == Owner::here;
    const bool ran = !plan_.starts_stopped;
    expect(!source_->guest.tracker.running(), "the dirty log is off at the source");
    if (ours) {
      expect(!is_at_destination(), "the source takes the guest for its own while the destination has it");
      expect(runs(*source_) == ran, "a guest that is the source's runs there if it ran before");
      expect(status == Status::failed || status == Status::cancelled,
             "status of a source that keeps the guest");
    } else {
      expect(!runs(*source_), "the source does not run a guest that it handed over");
    }
    if (status == Status::failed)
      expect(!source_->outgoing->error_text().value_or("").empty(), "a failed source says why");
    if (status == Status::completed && plan_.mode != Mode::precopy && !destination_->dead)
      expect(is_at_destination(), "the source is told that the guest runs, and it does not");
    if (!ours && status == Status::failed)
      expect(source_->outgoing->error_text().value_or("").find("destination may be running") !=
                 std::string::npos,
             "a source that does not know says so");
  }

  void judge_destination() {
    const Status status = destination_->status.status();
    if (status == Status::failed) {
      expect(!runs(*destination_), "a destination that failed does not run the guest");
      expect(!destination_->incoming->error_text().value_or("").empty(), "a failed destination says why");
    }
    if (status == Status::completed || status == Status::postcopy_paused)
      expect(runs(*destination_) || plan_.starts_stopped, "a destination that has the guest runs it");
  }

  void compare() {
    destination_->guest.wait_for_vcpu();
    const auto page = destination_->guest.first_difference(source_->guest);
    expect(page < 0, fmt::format("memory is the same on both sides, and page {} is not", page));
    expect(destination_->guest.device.register_value == 0x1234, "the device's state is the same");
  }

  Ended where() const {
    const bool source_has = !source_->dead && runs(*source_);
    if (!source_->dead && source_->status.status() == Status::cancelled) return Ended::cancelled;
    if (source_has) return Ended::failed;
    if (!destination_->dead && destination_->status.status() == Status::completed) return Ended::completed;
    if (!destination_->dead && runs(*destination_)) return Ended::without_source;
    if (source_->dead && !is_at_destination()) return Ended::lost_with_source;
    if (is_at_destination()) return Ended::lost_with_destination;
    return Ended::undecided;
  }

  /// Whoever knows that the destination never ran the guest can move it elsewhere, whatever went wrong.
  void retry() {
    if (source_->dead || is_at_destination()) return;
    const bool to_the_same = !destination_->dead && destination_->status.status() == Status::none;
    if (!to_the_same) destination_->end();
    if (is_paused(*source_)) {
      const bool cancelled = source_->outgoing->cancel().has_value();
      expect(cancelled, "a source that is paused can be given up");
      if (!cancelled) return;
      source_->outgoing->wait_until_done();
      expect(source_->status.status() == Status::cancelled, "it is cancelled then");
    }
    if (source_->guest.run_state() != RunState::running)
      expect(source_->guest.set_run_state(RunState::running).has_value(), "the operator lets the guest run");
    source_->guest.device.mode = 1;
    attempt_ = plan_.attempts.size();  // no more faults
    if (!to_the_same) destination_ = new_destination(3);
    destination_->guest.does_not_start = false;
    begin();
    while (migrate_on()) connect_again();
    expect(
        source_->status.status() == Status::completed && destination_->status.status() == Status::completed,
        fmt::format("another attempt works; source: {} ({}), destination: {} ({})",
                    schema::to_string(source_->status.status()), source_->outgoing->error_text().value_or(""),
                    schema::to_string(destination_->status.status()),
                    destination_->incoming->error_text().value_or("")));
    expect(runs(*destination_) && !runs(*source_), "the guest runs at the second destination");
    if (destination_->status.status() == Status::completed) compare();
  }

  const Plan plan_;
  HostMemory& memory_;
  World world_;
  Network network_{world_};
  std::unique_ptr<Party> source_;
  std::unique_ptr<Party> destination_;
  std::size_t attempt_ = 0;
  unsigned resumed_ = 0;
};

}  // namespace

std::string_view to_string(Ended ended) {
  return kEnded[static_cast<std::size_t>(ended)];
}

Outcome simulate(const Plan& plan, HostMemory& memory) {
  auto run = std::make_unique<Run>(plan, memory);
  Outcome outcome = run->go();
  if (outcome.hangs) static_cast<void>(run.release());  // its threads still use it
  return outcome;
}

}  // namespace godwit::engine::simulation
