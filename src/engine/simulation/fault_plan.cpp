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
unsigned writes(Mode mode, Way way, bool first) {
  if (way == Way::to_source) return mode == Mode::postcopy ? (first ? 10 : 5) : 4;
  if (mode != Mode::postcopy) return 10;
  return first ? 16 : 7;
}

Trigger make_trigger(Dice& dice, Mode mode, bool first) {
  Trigger trigger{};
  trigger.way = mode != Mode::precopy && dice.one_in(3) ? Way::to_source : Way::to_destination;
  trigger.write = dice.below(writes(mode, trigger.way, first));
  trigger.place = dice.any<Place>();
  trigger.fault = dice.any<Fault>();
  trigger.ending = dice.any<Ending>();
  return trigger;
}

constexpr std::string_view kFaults[] = {
    "cut (losing)", "cut (delivering)",  "stall",  "truncate",     "duplicate",        "vanish",
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
  plan.pages = 16 + 16 * dice.below(4);
  plan.passes = dice.below(4);
  plan.pause_before_switchover = dice.one_in(6);
  plan.xbzrle = plan.mode != Mode::postcopy && dice.one_in(4);
  plan.state_does_not_load = dice.one_in(16);
  plan.guest_does_not_start = dice.one_in(24);
  plan.starts_stopped = dice.one_in(12);
  plan.touches = dice.below(12);
  const unsigned connections = plan.mode == Mode::postcopy ? 1 + dice.below(4) : 1;
  for (unsigned c = 0; c < connections; ++c) {
    auto& triggers = plan.connections.emplace_back();
    const unsigned faults = dice.one_in(12) ? 0 : dice.one_in(4) ? 2 : 1;
    for (unsigned f = 0; f < faults; ++f) triggers.push_back(make_trigger(dice, plan.mode, c == 0));
  }
  return plan;
}

std::string_view to_string(Fault fault) {
  return kFaults[static_cast<std::size_t>(fault)];
}

std::string describe(const Plan& plan) {
  std::string text = fmt::format("seed {}: {}, {} pages, written in {} passes", plan.seed,
                                 kModes[static_cast<std::size_t>(plan.mode)], plan.pages, plan.passes);
  if (plan.pause_before_switchover) text += ", pause-before-switchover";
  if (plan.xbzrle) text += ", xbzrle";
  if (plan.state_does_not_load) text += ", the state does not load";
  if (plan.guest_does_not_start) text += ", the guest does not start";
  if (plan.starts_stopped) text += ", stopped at the start";
  for (std::size_t c = 0; c < plan.connections.size(); ++c)
    for (const Trigger& t : plan.connections[c])
      text += fmt::format("\n  connection {}: {} {} write {} to the {}; silence ends with {}", c,
                          to_string(t.fault), kPlaces[static_cast<std::size_t>(t.place)], t.write,
                          t.way == Way::to_destination ? "destination" : "source",
                          kEndings[static_cast<std::size_t>(t.ending)]);
  return text;
}

}  // namespace godwit::engine::simulation
