// How fast pages are looked at, against what the machine's memory gives.
#include <algorithm>
#include <benchmark/benchmark.h>
#include <cstring>

#include <godwit/dirty_bitmap.h>

#include "memory/ram.h"
#include "memory/zero_scan.h"

namespace godwit::memory {
namespace {

constexpr std::uint64_t kSize = 512ull * 1024 * 1024;  // far more than any cache

GuestRam touched(std::byte value) {
  GuestRam ram = GuestRam::create({.size = kSize}).value();
  std::memset(ram.host(), static_cast<int>(value), kSize);
  return ram;
}

void count_bytes(benchmark::State& state) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kSize));
}

/// The machine's read bandwidth, as the C library's own search has it.
void read_memory(benchmark::State& state) {
  const GuestRam ram = touched(std::byte{0});
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(std::memchr(ram.host(), 1, kSize));
  count_bytes(state);
}
BENCHMARK(read_memory)->Unit(benchmark::kMillisecond);

void copy_memory(benchmark::State& state) {
  const GuestRam from = touched(std::byte{1});
  const GuestRam to = touched(std::byte{2});
  for ([[maybe_unused]] auto _ : state) {
    std::memcpy(to.host(), from.host(), kSize);
    benchmark::ClobberMemory();
  }
  count_bytes(state);
}
BENCHMARK(copy_memory)->Unit(benchmark::kMillisecond);

void scan_zeros(benchmark::State& state) {
  const GuestRam ram = touched(std::byte{0});
  for ([[maybe_unused]] auto _ : state)
    for (std::uint64_t at = 0; at < kSize; at += page_size)
      benchmark::DoNotOptimize(is_zero_page(ram.host() + at));
  count_bytes(state);
}
BENCHMARK(scan_zeros)->Unit(benchmark::kMillisecond);

void scan_zeros_by_64(benchmark::State& state) {
  const GuestRam ram = touched(std::byte{0});
  for ([[maybe_unused]] auto _ : state)
    for (std::uint64_t at = 0; at < kSize; at += 64 * page_size)
      benchmark::DoNotOptimize(zero_pages_in(ram.host() + at, 64));
  count_bytes(state);
}
BENCHMARK(scan_zeros_by_64)->Unit(benchmark::kMillisecond);

/// Pages that hold data: the first line of each decides.
void scan_data(benchmark::State& state) {
  const GuestRam ram = touched(std::byte{7});
  for ([[maybe_unused]] auto _ : state)
    for (std::uint64_t at = 0; at < kSize; at += page_size)
      benchmark::DoNotOptimize(is_zero_page(ram.host() + at));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * (kSize / page_size)));
}
BENCHMARK(scan_data)->Unit(benchmark::kMillisecond);

/// A bitmap of 64 GiB of memory in which one page in `distance` is dirty.
void walk_bitmap(benchmark::State& state) {
  DirtyBitmap bitmap(64ull * 1024 * 1024 * 1024 / page_size);
  const auto distance = static_cast<std::uint64_t>(state.range(0));
  for (std::uint64_t page = 0; page < bitmap.pages(); page += distance) bitmap.set(page);
  for ([[maybe_unused]] auto _ : state)
    for (PageRange run = bitmap.next_run(0, 256); run.count != 0;
         run = bitmap.next_run(run.first + run.count, 256))
      benchmark::DoNotOptimize(run);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * bitmap.pages()));
}
BENCHMARK(walk_bitmap)->Arg(1)->Arg(3)->Arg(64)->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace godwit::memory
