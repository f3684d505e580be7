// What the destination spends on a gigabyte of noise that comes over a socket: the time of the loading thread
// alone. Argument: whether it reads pages to their places ahead of their headers.
#include <benchmark/benchmark.h>
#include <cstring>
#include <sys/socket.h>

#include "base/thread.h"
#include "channel/channel_input.h"
#include "channel/socket_channel.h"
#include "engine/incoming/ram_loader.h"
#include "memory/ram.h"
#include "noise_sender.h"

namespace godwit::engine {
namespace {

constexpr std::uint64_t kSize = 1024ull * 1024 * 1024;

memory::GuestRam new_ram() {
  return memory::GuestRam::create({.size = kSize}).value();
}

void load_noise(benchmark::State& state) {
  const memory::GuestRam source = new_ram();
  std::memset(source.host(), 0x5a, kSize);
  std::uint64_t reads = 0;
  for ([[maybe_unused]] auto _ : state) {
    state.PauseTiming();
    int sockets[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
      return state.SkipWithError("sockets");
    using channel::SocketChannel;
    SocketChannel from(UniqueFd(sockets[0]), "source", SocketChannel::Origin::own);
    SocketChannel to(UniqueFd(sockets[1]), "destination", SocketChannel::Origin::own);
    const memory::GuestRam ram = new_ram();
    const RamBlock block = ram.block("ram");
    const auto sender =
        start_thread("sender", [&](const std::stop_token&) { send_block(from, source.block("ram")); });
    state.ResumeTiming();
    channel::ChannelInput in(to);
    RamLoader loader({&block, 1}, false);
    if (state.range(0) == 0) loader.stop_reading_ahead();
    if (!loader.load_setup(in) || !loader.load_pages(in)) {
      to.shutdown();
      return state.SkipWithError("not loaded");
    }
    state.PauseTiming();
    reads += in.reads();
    state.ResumeTiming();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kSize));
  state.counters["reads"] =
      benchmark::Counter(static_cast<double>(reads), benchmark::Counter::kAvgIterations);
}
BENCHMARK(load_noise)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace godwit::engine
