// What this machine can do at most for a first pass: large writes from memory that is there, large reads in
// place into memory that is new, and nothing of a migration. Arguments: the bytes of a write, and how memory
// comes: by the reader's own touch, or by another thread ahead of it (memory/premap.h).
#include <algorithm>
#include <array>
#include <atomic>
#include <benchmark/benchmark.h>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/system.h"
#include "base/thread.h"
#include "memory/premap.h"
#include "memory/ram.h"

namespace godwit {
namespace {

constexpr std::uint64_t kSize = 2048ull * 1024 * 1024;
constexpr std::size_t kRead = 1024 * 1024;
constexpr std::size_t kHugePage = 2 * 1024 * 1024;
/// How far the populating thread may be ahead.
constexpr std::size_t kAhead = 32 * 1024 * 1024;

memory::GuestRam noise() {
  memory::GuestRam ram = memory::GuestRam::create({.size = kSize}).value();
  for (std::uint64_t at = 0; at < kSize; at += 8) {
    const std::uint64_t word = (at + 1) * 0x9e3779b97f4a7c15u;
    std::memcpy(ram.host() + at, &word, sizeof word);
  }
  return ram;
}

/// Memory that was just in use, given back as the reader takes as much: where free memory goes back to a
/// host, its first touch would cost twenty times as much. As migrate_bench.py does it.
class Ballast {
 public:
  Ballast() : ram_(memory::GuestRam::create({.size = kBytes}).value()) {
    std::memset(ram_.host(), 1, kBytes);
  }
  void follow(std::uint64_t taken) {
    const std::uint64_t goal = std::min(kBytes, (taken + kBytesAhead) / kHugePage * kHugePage);
    if (goal <= freed_) return;
    ::madvise(ram_.host() + freed_, goal - freed_, MADV_DONTNEED);
    freed_ = goal;
  }

 private:
  static constexpr std::uint64_t kBytes = kSize + 512ull * 1024 * 1024;
  static constexpr std::uint64_t kBytesAhead = 320ull * 1024 * 1024;
  memory::GuestRam ram_;
  std::uint64_t freed_ = 0;
};

using Sockets = std::array<UniqueFd, 2>;

Sockets unix_sockets() {
  int sockets[2] = {-1, -1};
  ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets);
  const int buffer = 1024 * 1024;
  ::setsockopt(sockets[0], SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
  return {UniqueFd(sockets[0]), UniqueFd(sockets[1])};
}

Sockets tcp_sockets() {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  UniqueFd from(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::bind(listener.get(), generic, size) != 0 || ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), generic, &size) != 0 || ::connect(from.get(), generic, size) != 0)
    return {};
  return {std::move(from), UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC))};
}

bool send_all(int socket, const memory::GuestRam& ram, std::size_t step) {
  for (std::uint64_t at = 0; at < kSize;) {
    const ssize_t sent =
        ::send(socket, ram.host() + at, std::min<std::uint64_t>(step, kSize - at), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    at += static_cast<std::uint64_t>(sent);
  }
  return true;
}

/// `arrived`: for others to see.
bool receive_all(int socket, const memory::GuestRam& ram, bool ahead, std::atomic<std::uint64_t>& arrived) {
  memory::Premapper premapper;
  for (std::uint64_t at = 0; at < kSize; at += kRead) {
    if (ahead) {
      const std::uint64_t from = std::min(kSize, (at / kHugePage + 1) * kHugePage);
      premapper.expect({ram.host() + from, std::min<std::uint64_t>(kAhead, kSize - from)});
      premapper.settle({ram.host() + at, kRead});
    }
    if (::recv(socket, ram.host() + at, kRead, MSG_WAITALL) != static_cast<ssize_t>(kRead)) return false;
    arrived = at + kRead;
  }
  premapper.stop();
  return true;
}

double process_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void stream(benchmark::State& state, Sockets (*connect)()) {
  const memory::GuestRam from = noise();
  for ([[maybe_unused]] auto _ : state) {
    Sockets sockets = connect();
    const memory::GuestRam to = memory::GuestRam::create({.size = kSize}).value();
    Ballast ballast;
    ballast.follow(0);
    std::atomic<std::uint64_t> arrived = 0;
    std::atomic<bool> good = true;
    const double cpu = process_seconds();
    const auto start = std::chrono::steady_clock::now();
    auto sender = start_thread("sender", [&](const std::stop_token&) {
      if (!send_all(sockets[0].get(), from, static_cast<std::size_t>(state.range(0)))) good = false;
    });
    auto receiver = start_thread("receiver", [&](const std::stop_token&) {
      if (!receive_all(sockets[1].get(), to, state.range(1) != 0, arrived)) good = false;
    });
    while (good && arrived < kSize) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      ballast.follow(arrived);
    }
    receiver.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    ::shutdown(sockets[0].get(), SHUT_RDWR);
    sender.join();
    if (!good) return state.SkipWithError("the stream broke");
    state.SetIterationTime(took.count());
    state.counters["cpu_s"] = benchmark::Counter(process_seconds() - cpu, benchmark::Counter::kDefaults);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kSize));
}

void stream_over_unix(benchmark::State& state) {
  stream(state, unix_sockets);
}
void stream_over_tcp(benchmark::State& state) {
  stream(state, tcp_sockets);
}
void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"write", "ahead"})
      ->ArgsProduct({{1024 * 1024}, {0, 1}})
      ->Iterations(1)
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}
BENCHMARK(stream_over_unix)->Apply(shapes);
BENCHMARK(stream_over_tcp)->Apply(shapes);

}  // namespace
}  // namespace godwit
