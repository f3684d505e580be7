#include "engine/page_samples.h"

#include <algorithm>
#include <functional>
#include <string_view>

namespace godwit::engine {
namespace {

constexpr std::uint64_t gibibyte = std::uint64_t{1} << 30;

std::size_t hash_of(const std::byte* page) {
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(page), page_size});
}

}  // namespace

PageSamples::PageSamples(std::span<const RamBlock> blocks, std::uint64_t per_gib, std::mt19937_64& random) {
  for (const RamBlock& block : blocks) {
    if (block.pages() == 0) continue;
    const auto share = static_cast<std::uint64_t>(
        static_cast<double>(block.size) / static_cast<double>(gibibyte) * static_cast<double>(per_gib));
    std::uniform_int_distribution<std::uint64_t> any_page(0, block.pages() - 1);
    Block taken{block.size, {}};
    for (std::uint64_t count = std::max<std::uint64_t>(share, 1); count > 0; --count) {
      const std::byte* const page = block.host + any_page(random) * page_size;
      taken.pages.emplace_back(page, hash_of(page));
    }
    blocks_.push_back(std::move(taken));
  }
}

std::uint64_t PageSamples::changed_bytes() const {
  double bytes = 0;
  for (const Block& block : blocks_) {
    const auto changed = std::ranges::count_if(
        block.pages, [](const auto& page) { return hash_of(page.first) != page.second; });
    bytes += static_cast<double>(block.size) * static_cast<double>(changed) /
             static_cast<double>(block.pages.size());
  }
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace godwit::engine
