#include "engine/outgoing/discards.h"

#include <algorithm>

#include "wire/command.h"

namespace godwit::engine {

void widen_to_host_pages(const RamBlock& block, DirtyBitmap& pages) {
  const std::uint64_t step = block.host_page_size / page_size;
  if (step == 1) return;
  for (PageRange run = pages.next_run(0, ~0ull); run.count != 0;) {
    const std::uint64_t first = run.first / step * step;
    const std::uint64_t end = std::min(pages.pages(), (run.first + run.count + step - 1) / step * step);
    pages.set_range({first, end - first});
    run = pages.next_run(end, ~0ull);
  }
}

Discards::Discards(std::span<const RamBlock> blocks) : blocks_(blocks) {
  for (const RamBlock& block : blocks_) said_.emplace_back(block.pages());
}

void Discards::encode(std::span<const DirtyBitmap> missing, Output& out) {
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    DirtyBitmap fresh = missing[block];
    widen_to_host_pages(blocks_[block], fresh);
    for (std::size_t word = 0; word < fresh.words().size(); ++word) {
      fresh.words()[word] &= ~said_[block].words()[word];
      said_[block].words()[word] |= fresh.words()[word];
    }
    wire::PostcopyDiscard discard{.block = blocks_[block].name, .ranges = {}};
    const auto flush = [&] {
      if (!discard.ranges.empty()) wire::encode_command(out, discard);
      discard.ranges.clear();
    };
    for (PageRange run = fresh.next_run(0, ~0ull); run.count != 0;
         run = fresh.next_run(run.first + run.count, ~0ull)) {
      discard.ranges.push_back({run.first * page_size, run.count * page_size});
      if (discard.ranges.size() == wire::discard_ranges_sent) flush();
    }
    flush();
  }
}

}  // namespace godwit::engine
