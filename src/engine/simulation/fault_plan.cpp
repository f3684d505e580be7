#include "engine/simulation/fault_plan.h"

#include <fmt/format.h>

namespace godwit::engine::simulation {
namespace {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
  bool one_in(unsigned n) { return below(n) == 0; }
  template <typename Enum>
  Enum any() {
    return static_cast<Enum>(below(static_cast<unsigned>(Enum::count)));
  }

 private:
  std::mt19937_64 random_;
};

/// How many writes a connection has, roughly: faults beyond them do not happen.
unsigned writes(const Plan& plan, const Trigger& trigger, bool first) {
  const bool to_source = trigger.way == Way::to_source;
  const unsigned handshake = plan.tls ? 3 : 0;
  if (trigger.connection > 0) return handshake + (to_source ? 0 : plan.preempt ? 4 : 7);
  if (to_source && plan.mode == Mode::precopy) return handshake;
  if (to_source) return handshake + (plan.mode == Mode::postcopy ? (first ? 10 : 5) : 4);
  if (plan.mode != Mode::postcopy) return handshake + 10;
  return handshake + (first ? 16 : 7);
}

Trigger make_trigger(Dice& dice, const Plan& plan, bool first) {
  Trigger trigger{};
  // Where a postcopy is taken up again there are no channels of multifd.
  const unsigned connections = first || plan.preempt ? plan.connections() : 1;
  trigger.connection = dice.below(connections);
  trigger.way = dice.one_in(3) ? Way::to_source : Way::to_destination;
  if (writes(plan, trigger, first) == 0) trigger.way = Way::to_destination;
  trigger.write = dice.below(writes(plan, trigger, first));
  trigger.place = dice.any<Place>();
  trigger.fault = dice.any<Fault>();
  trigger.ending = dice.any<Ending>();
  return trigger;
}

/// Three runs of four have one connection.
void choose_connections(Dice& dice, Plan& plan) {
  const unsigned kind = dice.below(16);
  if (kind >= 14) {
    plan.preempt = true;
    plan.mode = Mode::postcopy;
  } else if (kind >= 12) {
    plan.multifd_channels = 2 + dice.below(2);
  }
  plan.tls = dice.one_in(kind >= 12 ? 4 : 8);
  plan.looked_at = plan.tls || plan.connections() > 1 || dice.one_in(8);
}

constexpr std::string_view kFaults[] = {
    "cut (losing)", "cut (delivering)",  "stall",  "truncate",     "duplicate",        "vanish", "half-open",
    "crash source", "crash destination", "cancel", "pause source", "pause destination"};
constexpr std::string_view kPlaces[] = {"before", "behind the first byte of", "in the middle of",
                                        "before the last byte of", "behind"};
constexpr std::string_view kEndings[] = {"release", "give up", "cancel", "pause"};
constexpr std::string_view kModes[] = {"precopy", "precopy with return path", "postcopy"};

}  // namespace

Plan make_plan(std::uint64_t seed) {
  Dice dice(seed * 0x9e3779b97f4a7c15 + 1);  // neighbours differ
  Plan plan;
  plan.seed = seed;
  plan.mode = static_cast<Mode>(dice.below(3));
  choose_connections(dice, plan);
  plan.pages = std::uint64_t{8} << dice.below(4);
  plan.blocks = plan.multifd_channels > 0 || dice.one_in(4) ? 2 + dice.below(2) : 1;
  plan.preallocated = !dice.one_in(4);  // new pages are what takes longest of all
  plan.passes = dice.below(4);
  plan.pause_before_switchover = dice.one_in(6);
  plan.xbzrle = plan.mode != Mode::postcopy && plan.multifd_channels == 0 && dice.one_in(4);
  plan.state_does_not_load = dice.one_in(16);
  plan.guest_does_not_start = dice.one_in(24);
  plan.starts_stopped = dice.one_in(12);
  plan.touches = dice.below(12);
  const unsigned attempts = plan.mode == Mode::postcopy ? 1 + dice.below(4) : 1;
  for (unsigned a = 0; a < attempts; ++a) {
    auto& triggers = plan.attempts.emplace_back();
    const unsigned faults = dice.one_in(12) ? 0 : dice.one_in(4) ? 2 : 1;
    for (unsigned f = 0; f < faults; ++f) triggers.push_back(make_trigger(dice, plan, a == 0));
  }
  return plan;
}

std::string_view to_string(Fault fault) {
  return kFaults[static_cast<std::size_t>(fault)];
}

std::string describe(const Plan& plan) {
  std::string text =
      fmt::format("seed {}: {}, {} pages in {} blocks, written in {} passes", plan.seed,
                  kModes[static_cast<std::size_t>(plan.mode)], plan.pages, plan.blocks, plan.passes);
  if (plan.multifd_channels > 0) text += fmt::format(", {} channels of multifd", plan.multifd_channels);
  if (plan.preempt) text += ", postcopy-preempt";
  if (plan.tls)
    text += ", TLS";
  else if (plan.looked_at)
    text += ", connections are looked at";
  if (plan.preallocated) text += ", preallocated";
  if (plan.pause_before_switchover) text += ", pause-before-switchover";
  if (plan.xbzrle) text += ", xbzrle";
  if (plan.state_does_not_load) text += ", the state does not load";
  if (plan.guest_does_not_start) text += ", the guest does not start";
  if (plan.starts_stopped) text += ", stopped at the start";
  for (std::size_t a = 0; a < plan.attempts.size(); ++a)
    for (const Trigger& t : plan.attempts[a])
      text += fmt::format("\n  attempt {}, connection {}: {} {} write {} to the {}; silence ends with {}", a,
                          t.connection, to_string(t.fault), kPlaces[static_cast<std::size_t>(t.place)],
                          t.write, t.way == Way::to_destination ? "destination" : "source",
                          kEndings[static_cast<std::size_t>(t.ending)]);
  return text;
}

}  // namespace godwit::engine::simulation
