// Simulated migrations by the thousand, each made from a number. See docs/simulation.md.
//
//   sim_test [--runs N] [--first SEED] [--jobs N]   a campaign; exit status 1 if something did not hold
//   sim_test --seed SEED                            one run again, with the engine's log
#include <cstdlib>
#include <fmt/format.h>
#include <malloc.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <string_view>

#include "engine/simulation/campaign.h"
#include "engine/simulation/run.h"
#include "engine/testing/fake_guest.h"
#include "memory/postcopy_memory.h"

namespace godwit::engine::simulation {
namespace {

struct Options {
  CampaignOptions campaign;
  std::uint64_t seed = 0;  ///< 0: a campaign
};

bool replay(std::uint64_t seed) {
  spdlog::set_level(spdlog::level::debug);
  const Plan plan = make_plan(seed);
  fmt::print("{}\n", describe(plan));
  HostMemory memory;
  const Outcome outcome = simulate(plan, memory);
  if (outcome.ended != Ended::count) fmt::print("ended: {}\n", to_string(outcome.ended));
  for (const std::string& what : outcome.violations) fmt::print("VIOLATED: {}\n", what);
  if (outcome.hangs) std::_Exit(1);
  return outcome.violations.empty();
}

bool parse(int count, char** words, Options& options) {
  for (int at = 1; at + 1 < count; at += 2) {
    const std::string_view name = words[at];
    const std::uint64_t value = std::strtoull(words[at + 1], nullptr, 10);
    if (name == "--runs")
      options.campaign.runs = value;
    else if (name == "--first")
      options.campaign.first = value;
    else if (name == "--jobs")
      options.campaign.jobs = static_cast<unsigned>(value);
    else if (name == "--seed")
      options.seed = value;
    else
      return false;
  }
  return count % 2 == 1;
}

/// What a run gives back is kept for the next one: buffers, and the stacks of threads (of which the C library
/// keeps 40 MiB).
void keep_freed_memory() {
  constexpr int never = 1 << 30;
  ::mallopt(M_TRIM_THRESHOLD, never);
  ::mallopt(M_MMAP_THRESHOLD, 16 << 20);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, std::size_t{1} << 20);
  pthread_setattr_default_np(&attributes);
  pthread_attr_destroy(&attributes);
}

}  // namespace
}  // namespace godwit::engine::simulation

int main(int count, char** words) {
  using namespace godwit::engine::simulation;
  Options options;
  if (!parse(count, words, options)) {
    fmt::print(stderr, "usage: sim_test [--runs N] [--first SEED] [--jobs N] | --seed SEED\n");
    return 2;
  }
  spdlog::set_level(spdlog::level::off);
  const godwit::engine::testing::FakeGuest guest;
  if (auto possible = godwit::memory::PostcopyMemory::check(guest.ram_blocks()); !possible) {
    fmt::print("SKIP: {}\n", possible.error().explain());
    return 77;
  }
  keep_freed_memory();
  if (options.seed != 0) return replay(options.seed) ? 0 : 1;
  return run_campaign(options.campaign) ? 0 : 1;
}
