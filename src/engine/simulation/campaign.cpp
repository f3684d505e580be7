#include "engine/simulation/campaign.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fmt/format.h>
#include <new>
#include <sched.h>
#include <span>
#include <string_view>
#include <sys/mman.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/fail.h"
#include "engine/probes.h"
#include "engine/simulation/run.h"

namespace godwit::engine::simulation {
namespace {

constexpr unsigned kMostJobs = 256;
/// In every eighth hundred of seeds the threads of a run use all processors. The others keep to the worker's
/// own: an interrupt from one processor to another, to wake a thread or to unmap memory, takes longer than
/// all else that a run does.
constexpr bool uses_all_processors(std::uint64_t seed) {
  return seed / 100 % 8 == 0;
}

template <typename Enum>
using Counts = std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(Enum::count)>;

/// In memory that all workers share.
struct Tally {
  std::atomic<std::uint64_t> next{0};  ///< seed
  std::atomic<std::uint64_t> violated{0};
  Counts<Ended> ended{};
  Counts<Fault> happened{};
  Counts<Probe> probes{};
  std::array<std::atomic<std::uint64_t>, kMostJobs> at{};  ///< the seed that each worker runs; 0: none
};

template <typename To, typename From>
void add(To& to, const From& from) {
  for (std::size_t each = 0; each < to.size(); ++each) to[each] += from[each];
}

std::size_t entries(const char* directory) {
  std::size_t count = 0;
  DIR* open = ::opendir(directory);
  while (open && ::readdir(open)) ++count;
  if (open) ::closedir(open);
  return count;
}

/// The processors that this process may use.
class Processors {
 public:
  Processors() {
    ::sched_getaffinity(0, sizeof all_, &all_);
    for (int processor = 0; processor < CPU_SETSIZE; ++processor)
      if (CPU_ISSET(processor, &all_)) numbers_.push_back(processor);
  }
  unsigned count() const { return static_cast<unsigned>(numbers_.size()); }
  /// For the calling thread, and for those that it starts.
  void use_all() const { ::sched_setaffinity(0, sizeof all_, &all_); }
  void use_one(unsigned worker) const {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(numbers_[worker % numbers_.size()], &one);
    ::sched_setaffinity(0, sizeof one, &one);
  }

 private:
  cpu_set_t all_{};
  std::vector<int> numbers_;
};

/// One process: takes the next seed until there is none.
class Worker {
 public:
  Worker(Tally& tally, std::uint64_t end, unsigned number, const Processors& processors)
      : tally_(tally), end_(end), number_(number), processors_(processors) {}

  void work() {
    std::thread([] {}).join();  // a sanitizer may start one of its own with the first
    const std::size_t descriptors = entries("/proc/self/fd");
    const std::size_t threads = entries("/proc/self/task");
    for (std::uint64_t seed = tally_.next++; seed < end_; seed = tally_.next++) run(seed);
    tally_.at[number_] = 0;
    add(tally_.probes, probe_hits);
    // A joined thread stays listed for an instant.
    const auto listed_until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (entries("/proc/self/task") != threads && std::chrono::steady_clock::now() < listed_until)
      std::this_thread::yield();
    if (entries("/proc/self/fd") == descriptors && entries("/proc/self/task") == threads) return;
    ++tally_.violated;
    fmt::print("VIOLATED {} descriptors and {} threads before, {} and {} afterwards\n", descriptors, threads,
               entries("/proc/self/fd"), entries("/proc/self/task"));
  }

 private:
  void run(std::uint64_t seed) {
    tally_.at[number_] = seed;
    const bool spread = uses_all_processors(seed);
    if (spread) processors_.use_all();
    const Plan plan = make_plan(seed);
    const Outcome outcome = simulate(plan, memory_);
    if (spread) processors_.use_one(number_);
    ++tally_.ended[static_cast<std::size_t>(outcome.ended)];
    add(tally_.happened, outcome.happened);
    if (outcome.violations.empty()) return;
    ++tally_.violated;
    fmt::print("VIOLATED {}\n", describe(plan));
    for (const std::string& what : outcome.violations) fmt::print("    {}\n", what);
    fmt::print("    again: sim_test --seed {}\n", seed);
    std::fflush(stdout);
    if (outcome.hangs) std::_Exit(1);  // threads that hang cannot be joined
  }

  Tally& tally_;
  const std::uint64_t end_;
  const unsigned number_;
  const Processors& processors_;
  HostMemory memory_;
};

template <typename Names, typename Count>
void print(const Names& name_of, const Count& counts) {
  for (std::size_t each = 0; each < counts.size(); ++each)
    fmt::print("  {:>8} {}\n", counts[each].load(), name_of(each));
}

/// Few runs need not reach everything.
bool report_probes(const Tally& tally, std::uint64_t runs) {
  bool all = true;
  for (std::size_t probe = 0; probe < tally.probes.size(); ++probe) {
    const std::uint64_t hits = tally.probes[probe];
    fmt::print("  {:>8} {}{}\n", hits, probe_names[probe], hits ? "" : "   never reached");
    all = all && (hits > 0 || runs < 10'000);
  }
  return all;
}

/// False: it did not come to its end.
bool wait_for(pid_t worker, std::uint64_t last_seed) {
  int status = 0;
  while (::waitpid(worker, &status, 0) < 0)
    if (errno != EINTR) return false;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  fmt::print("FAILED: a worker ended with {} {}, with seed {}\n", WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), last_seed);
  return false;
}

}  // namespace

bool run_campaign(const CampaignOptions& options) {
  const Processors processors;
  const unsigned jobs = std::min(options.jobs ? options.jobs : processors.count(), kMostJobs);
  void* shared = ::mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw std::bad_alloc();
  Tally& tally = *new (shared) Tally;
  tally.next = options.first;
  const auto started = std::chrono::steady_clock::now();
  std::fflush(stdout);
  std::vector<pid_t> workers;
  for (unsigned number = 0; number < jobs; ++number) {
    const pid_t worker = ::fork();
    if (worker < 0) throw std::system_error(errno, std::generic_category(), "cannot start a worker");
    if (worker == 0) {
      processors.use_one(number);
      Worker(tally, options.first + options.runs, number, processors).work();
      std::exit(0);
    }
    workers.push_back(worker);
  }
  bool held = true;
  for (unsigned number = 0; number < jobs; ++number)
    held = wait_for(workers[number], tally.at[number]) && held;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  fmt::print("{} runs in {:.1f} s, {} violated\n", options.runs, took.count(), tally.violated.load());
  print([](std::size_t each) { return to_string(static_cast<Ended>(each)); }, tally.ended);
  print([](std::size_t each) { return to_string(static_cast<Fault>(each)); }, tally.happened);
  held = report_probes(tally, options.runs) && held && tally.violated == 0;
  ::munmap(shared, sizeof(Tally));
  return held;
}

}  // namespace godwit::engine::simulation
