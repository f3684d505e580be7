#include "engine/incoming/missing_pages.h"

#include "wire/return_path.h"

namespace godwit::engine {

MissingPages::MissingPages(std::span<const RamBlock> blocks) : blocks_(blocks) {
  for (const RamBlock& block : blocks_) {
    missing_.emplace_back(block.pages());
    asked_.emplace_back(block.pages());
  }
}

void MissingPages::add(std::size_t block, PageRange range) {
  for (std::uint64_t page = range.first; page < range.first + range.count; ++page)
    count_ += missing_[block].set(page);
}

bool MissingPages::remove(std::size_t block, std::uint64_t offset) {
  const PageRange pages{offset / page_size, blocks_[block].host_page_size / page_size};
  if (asked_[block].test(pages.first)) {
    asked_[block].clear_range({pages.first, 1});
    --asked_count_;
  }
  if (!missing_[block].test(pages.first)) return false;
  missing_[block].clear_range(pages);
  count_ -= pages.count;
  return true;
}

void MissingPages::encode_received(std::size_t block, Output& out) const {
  std::vector<std::uint64_t> received(missing_[block].words().begin(), missing_[block].words().end());
  for (std::uint64_t& word : received) word = ~word;
  wire::encode_received_bitmap(out, received, blocks_[block].pages());
}

}  // namespace godwit::engine
