#include "engine/outgoing/page_sample.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "memory/zero_scan.h"
#include "wire/compress.h"

namespace godwit::engine {
namespace {

constexpr std::uint64_t kSamples = 64;
/// Of memory that is nearly empty not every look finds a page.
constexpr std::uint64_t kLooks = 8 * kSamples;

}  // namespace

double sample_compressibility(std::span<const RamBlock> blocks) {
  std::uint64_t total = 0;
  for (const RamBlock& block : blocks) total += block.pages();
  if (total == 0) return 1;
  const std::uint64_t step = std::max<std::uint64_t>(total / kLooks, 1);
  // The order in which neighbours are far apart, so that the first samples are from everywhere.
  constexpr std::uint64_t stride = 37;
  const std::uint64_t looks = std::min(kLooks, total);
  wire::PageCompressor compressor(1);
  std::array<std::byte, page_size> steady;
  std::array<std::byte, wire::compressed_page_limit> out;
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  for (std::uint64_t i = 0; i < looks && before < kSamples * page_size; ++i) {
    std::uint64_t page = i * stride % looks * step;
    const RamBlock* block = blocks.data();
    for (; page >= block->pages(); ++block) page -= block->pages();
    std::memcpy(steady.data(), block->host + page * page_size, page_size);
    if (memory::is_zero_page(steady.data())) continue;
    const auto size = compressor.compress(steady, out);
    if (!size) continue;
    before += page_size;
    after += *size;
  }
  return after == 0 ? 1 : static_cast<double>(before) / static_cast<double>(after);
}

}  // namespace godwit::engine
