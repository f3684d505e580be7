// What the lanes do with a page: zero scan, deltas, packets. Speeds are bytes of guest pages per second;
// "of_memcpy" is the share of what copying such pages takes here. The pages are far more than the caches
// hold, as a guest's are.
#include <algorithm>
#include <array>
#include <benchmark/benchmark.h>
#include <chrono>
#include <cstring>
#include <random>
#include <vector>

#include "memory/zero_scan.h"
#include "wire/compress.h"
#include "wire/multifd_compression.h"
#include "wire/xbzrle.h"

namespace godwit {
namespace {

constexpr std::size_t kPages = 32 * 1024;  // 128 MiB

/// Two versions of many pages: `after` differs from `before` in `changed` bytes of each.
struct Pages {
  explicit Pages(std::size_t changed, std::size_t run = 1)
      : before(kPages * page_size), after(kPages * page_size) {
    std::mt19937 random(1);
    auto* words = reinterpret_cast<std::uint32_t*>(before.data());
    for (std::size_t i = 0; i < before.size() / 4; ++i) words[i] = static_cast<std::uint32_t>(random());
    after = before;
    for (std::size_t page = 0; page < kPages; ++page)
      for (std::size_t n = 0; n < changed; n += run) {
        const std::size_t at = random() % (page_size - run);
        for (std::size_t i = 0; i < run; ++i) after[page * page_size + at + i] ^= std::byte{0x5a};
      }
  }
  std::vector<std::byte> before;
  std::vector<std::byte> after;
};

/// Bytes per second of copying page by page, measured once.
double memcpy_speed() {
  static const double speed = [] {
    std::vector<std::byte> from(kPages * page_size, std::byte{1});
    std::vector<std::byte> to(kPages * page_size, std::byte{2});
    double best = 0;
    for (int round = 0; round < 5; ++round) {
      const auto start = std::chrono::steady_clock::now();
      for (std::size_t page = 0; page < kPages; ++page)
        std::memcpy(to.data() + page * page_size, from.data() + page * page_size, page_size);
      benchmark::DoNotOptimize(to.data());
      benchmark::ClobberMemory();
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      best = std::max(best, static_cast<double>(to.size()) / took.count());
    }
    return best;
  }();
  return speed;
}

void report(benchmark::State& state, std::size_t pages_each = 1) {
  const auto bytes = static_cast<double>(state.iterations()) * static_cast<double>(pages_each * page_size);
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
  state.counters["of_memcpy"] = benchmark::Counter(bytes / memcpy_speed(), benchmark::Counter::kIsRate);
}

void copy(benchmark::State& state) {
  Pages pages(0);
  std::size_t page = 0;
  for ([[maybe_unused]] auto _ : state) {
    std::memcpy(pages.after.data() + page * page_size, pages.before.data() + page * page_size, page_size);
    page = (page + 1) % kPages;
  }
  report(state);
}
BENCHMARK(copy);

void zero_scan(benchmark::State& state) {
  const std::vector<std::byte> zeros(kPages * page_size);
  std::vector<std::byte> mine = zeros;
  std::size_t page = 0;
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(memory::is_zero_page(mine.data() + page * page_size));
    page = (page + 1) % kPages;
  }
  report(state);
}
BENCHMARK(zero_scan);

/// Arguments: bytes changed per page, and in runs of how many.
void xbzrle_encode(benchmark::State& state) {
  const Pages pages(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  std::array<std::byte, page_size> delta;
  std::size_t page = 0;
  for ([[maybe_unused]] auto _ : state) {
    const std::size_t at = page * page_size;
    benchmark::DoNotOptimize(wire::encode_xbzrle(pages.before.data() + at, pages.after.data() + at, delta));
    page = (page + 1) % kPages;
  }
  report(state);
}
BENCHMARK(xbzrle_encode)->Args({0, 1})->Args({41, 1})->Args({41, 8})->Args({410, 8})->Args({2048, 64});

void xbzrle_decode(benchmark::State& state) {
  Pages pages(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  std::vector<std::array<std::byte, page_size>> deltas(kPages);
  std::vector<std::size_t> sizes(kPages);
  for (std::size_t page = 0; page < kPages; ++page)
    sizes[page] = wire::encode_xbzrle(pages.before.data() + page * page_size,
                                      pages.after.data() + page * page_size, deltas[page])
                      .size;
  std::size_t page = 0;
  for ([[maybe_unused]] auto _ : state) {
    const std::span<std::byte, page_size> target(pages.before.data() + page * page_size, page_size);
    benchmark::DoNotOptimize(wire::apply_xbzrle(std::span(deltas[page]).first(sizes[page]), target, 0));
    page = (page + 1) % kPages;
  }
  report(state);
}
BENCHMARK(xbzrle_decode)->Args({41, 1})->Args({41, 8})->Args({410, 8});

wire::MultifdPacket full_packet() {
  wire::MultifdPacket packet;
  packet.set_block("pc.ram");
  packet.normal_pages = wire::MultifdPacket::page_limit;
  packet.data_size = packet.normal_pages * static_cast<std::uint32_t>(page_size);
  for (std::size_t i = 0; i < packet.offsets.size(); ++i) packet.offsets[i] = i * page_size;
  return packet;
}

void packet_encode(benchmark::State& state) {
  const wire::MultifdPacket packet = full_packet();
  std::array<std::byte, wire::MultifdPacket::header_size> header;
  for ([[maybe_unused]] auto _ : state) {
    wire::encode_multifd_packet(packet, header);
    benchmark::DoNotOptimize(header);
  }
  report(state, wire::MultifdPacket::page_limit);
}
BENCHMARK(packet_encode);

void packet_decode(benchmark::State& state) {
  std::array<std::byte, wire::MultifdPacket::header_size> header;
  wire::encode_multifd_packet(full_packet(), header);
  wire::MultifdReader reader(wire::MultifdMethod::none,
                             [](std::string_view) { return wire::KnownBlock{0, 1 << 30}; });
  for ([[maybe_unused]] auto _ : state) {
    SpanInput in(header);
    benchmark::DoNotOptimize(reader.next(in));
  }
  report(state, wire::MultifdPacket::page_limit);
}
BENCHMARK(packet_decode);

void page_header_encode(benchmark::State& state) {
  std::array<std::byte, wire::page_header_limit> header;
  std::uint64_t offset = 0;
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(
        wire::encode_page_header(header.data(), wire::PageKind::normal, offset, true, "pc.ram"));
    offset += page_size;
  }
  report(state);
}
BENCHMARK(page_header_encode);

}  // namespace
}  // namespace godwit
