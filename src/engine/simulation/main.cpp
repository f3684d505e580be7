// Simulated migrations by the thousand, each made from a number. See docs/simulation.md.
//
//   sim_test [--runs N] [--first SEED] [--jobs N]   a campaign; exit status 1 if something did not hold
//   sim_test --seed SEED                            one run again, with the engine's log
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <dirent.h>
#include <fmt/format.h>
#include <map>
#include <mutex>
#include <spdlog/spdlog.h>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/probes.h"
#include "engine/simulation/run.h"
#include "engine/testing/fake_guest.h"
#include "memory/postcopy_memory.h"

namespace godwit::engine::simulation {
namespace {

struct Options {
  std::uint64_t runs = 10'000;
  std::uint64_t first = 1;
  unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
  std::uint64_t seed = 0;  ///< 0: a campaign
};

std::size_t entries(const char* directory) {
  std::size_t count = 0;
  DIR* open = ::opendir(directory);
  while (open && ::readdir(open)) ++count;
  if (open) ::closedir(open);
  return count;
}

class Campaign {
 public:
  explicit Campaign(const Options& options) : options_(options), next_(options.first) {}

  bool run() {
    const std::size_t descriptors = entries("/proc/self/fd");
    std::thread([] {}).join();  // a sanitizer may start one of its own with the first
    const std::size_t threads = entries("/proc/self/task");
    const auto started = std::chrono::steady_clock::now();
    {
      std::vector<std::jthread> workers;
      for (unsigned job = 0; job < options_.jobs; ++job) workers.emplace_back([this] { work(); });
    }
    // A joined thread stays listed for an instant.
    const auto listed_until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (entries("/proc/self/task") != threads && std::chrono::steady_clock::now() < listed_until)
      std::this_thread::yield();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    fmt::print("{} runs in {:.1f} s, {} violated\n", options_.runs, took.count(), violated_);
    for (const auto& [ended, times] : ended_) fmt::print("  {:>8} {}\n", times, ended);
    for (std::size_t fault = 0; fault < happened_.size(); ++fault)
      fmt::print("  {:>8} times: {}\n", happened_[fault], to_string(static_cast<Fault>(fault)));
    if (entries("/proc/self/fd") != descriptors || entries("/proc/self/task") != threads) {
      fmt::print("FAILED: {} descriptors and {} threads before, {} and {} afterwards\n", descriptors, threads,
                 entries("/proc/self/fd"), entries("/proc/self/task"));
      ++violated_;
    }
    return report_probes() && violated_ == 0;
  }

 private:
  void work() {
    for (;;) {
      const std::uint64_t seed = next_++;
      if (seed >= options_.first + options_.runs) return;
      const Plan plan = make_plan(seed);
      const Outcome outcome = simulate(plan);
      std::lock_guard lock(mutex_);
      ++ended_[outcome.ended];
      for (std::size_t fault = 0; fault < happened_.size(); ++fault)
        happened_[fault] += outcome.happened[fault];
      if (outcome.violations.empty()) continue;
      ++violated_;
      fmt::print("VIOLATED {}\n", describe(plan));
      for (const std::string& what : outcome.violations) fmt::print("    {}\n", what);
      fmt::print("    again: sim_test --seed {}\n", seed);
      std::fflush(stdout);
      if (outcome.hangs) std::_Exit(1);  // threads that hang cannot be joined
    }
  }

  /// Few runs need not reach everything.
  bool report_probes() const {
    bool all = true;
    for (std::size_t probe = 0; probe < probe_hits.size(); ++probe) {
      const std::uint64_t hits = probe_hits[probe];
      fmt::print("  {:>8} {}{}\n", hits, probe_names[probe], hits ? "" : "   never reached");
      all = all && (hits > 0 || options_.runs < 10'000);
    }
    return all;
  }

  const Options options_;
  std::atomic<std::uint64_t> next_;
  std::mutex mutex_;
  std::uint64_t violated_ = 0;
  std::map<std::string, std::uint64_t> ended_;
  std::array<std::uint64_t, static_cast<std::size_t>(Fault::count)> happened_{};
};

bool replay(std::uint64_t seed) {
  spdlog::set_level(spdlog::level::debug);
  const Plan plan = make_plan(seed);
  fmt::print("{}\n", describe(plan));
  const Outcome outcome = simulate(plan);
  fmt::print("ended: {}\n", outcome.ended);
  for (const std::string& what : outcome.violations) fmt::print("VIOLATED: {}\n", what);
  if (outcome.hangs) std::_Exit(1);
  return outcome.violations.empty();
}

bool parse(int count, char** words, Options& options) {
  for (int at = 1; at + 1 < count; at += 2) {
    const std::string_view name = words[at];
    const std::uint64_t value = std::strtoull(words[at + 1], nullptr, 10);
    if (name == "--runs")
      options.runs = value;
    else if (name == "--first")
      options.first = value;
    else if (name == "--jobs")
      options.jobs = static_cast<unsigned>(value);
    else if (name == "--seed")
      options.seed = value;
    else
      return false;
  }
  return count % 2 == 1;
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
  if (options.seed != 0) return replay(options.seed) ? 0 : 1;
  return Campaign(options).run() ? 0 : 1;
}
