#include "engine/outgoing/postcopy_pages.h"

#include <algorithm>
#include <utility>

#include "engine/outgoing/discards.h"
#include "memory/discard.h"
#include "memory/zero_scan.h"

namespace godwit::engine {
namespace {

/// How much is asked about at once: 16 MiB.
constexpr std::uint64_t kStretchPages = 4096;

}  // namespace

PostcopyPages::PostcopyPages(std::span<const RamBlock> blocks, std::vector<DirtyBitmap> missing,
                             RamCounters& counters, bool release)
    : blocks_(blocks), missing_(std::move(missing)), counters_(counters), release_(release) {
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    widen_to_host_pages(blocks_[block], missing_[block]);
    left_ += missing_[block].count();
    probes_.emplace_back(blocks_[block]);
    populated_.emplace_back(blocks_[block].pages());
    probed_.emplace_back(blocks_[block].pages() / kStretchPages + 1);
  }
  counters_.dirty_pages = left_;
}

void PostcopyPages::set_missing(std::size_t block, DirtyBitmap missing) {
  // What was begun on the lost connection is sent anew, from its start.
  begun_.reset();
  if (block == block_) page_ = page_ / host_page_pages(block) * host_page_pages(block);
  left_ -= missing_[block].count();
  missing_[block] = std::move(missing);
  widen_to_host_pages(blocks_[block], missing_[block]);
  left_ += missing_[block].count();
  counters_.dirty_pages = left_;
}

Result<bool> PostcopyPages::send(PageConnection& connection, const WantedPages& wanted) {
  const std::uint64_t end = wanted.pages.first + wanted.pages.count;
  bool any = false;
  for (std::uint64_t page = wanted.pages.first; page < end;) {
    PageRange run = missing_[wanted.block].next_run(page, PageBatch::capacity);
    if (run.count == 0 || run.first >= end) break;
    run.count = std::min(run.count, end - run.first);
    GODWIT_TRY(send_run(connection, wanted.block, run, true));
    page = run.first + run.count;
    any = true;
  }
  if (is_begun(wanted)) begun_.reset();
  // The guest is likely to go on where it is.
  if (any && !begun_) {
    block_ = wanted.block;
    page_ = end;
  }
  return any;
}

bool PostcopyPages::is_begun(const WantedPages& wanted) const {
  return begun_ && begun_->block == wanted.block &&
         begun_->pages.first < wanted.pages.first + wanted.pages.count &&
         wanted.pages.first < begun_->pages.first + begun_->pages.count;
}

Result<> PostcopyPages::send_next(PageConnection& connection, std::uint64_t most_pages, bool in_pieces) {
  PageRange run;
  while ((run = missing_[block_].next_run(page_, most_pages)).count == 0) {
    page_ = 0;
    block_ = (block_ + 1) % blocks_.size();
  }
  const std::uint64_t step = host_page_pages(block_);
  if (step == 1) {
    GODWIT_TRY(send_run(connection, block_, run, false));
    page_ = run.first + run.count;
    return {};
  }
  const std::uint64_t end = run.first / step * step + step;
  do {
    run = missing_[block_].next_run(run.first, in_pieces ? most_pages : PageBatch::capacity);
    run.count = std::min(run.count, end - run.first);
    GODWIT_TRY(send_run(connection, block_, run, false));
    run.first += run.count;
  } while (!in_pieces && run.first < end);
  page_ = run.first;
  begun_.reset();
  if (run.first < end) begun_ = WantedPages{.block = block_, .pages = {run.first, end - run.first}};
  return {};
}

Result<> PostcopyPages::send_run(PageConnection& connection, std::size_t block_index, PageRange run,
                                 bool requested) {
  const RamBlock& block = blocks_[block_index];
  if (connection.last_block != &block)
    batch_.forget_block();  // the batch may have written to the other connection
  batch_.begin(block);
  for (std::uint64_t page = run.first; page < run.first + run.count; ++page) {
    // Somebody waits for a requested page: no questions about its neighbourhood.
    const bool look = requested || holds_data(block_index, page);
    if (look && !memory::is_zero_page(block.host + page * page_size))
      batch_.add_normal(page);
    else
      batch_.add_zero(page);
  }
  // Before the write: when it fails, nobody here knows what of it arrived.
  missing_[block_index].clear_range(run);
  left_ -= run.count;
  counters_.dirty_pages = left_;
  const std::uint64_t before = connection.out->bytes();
  GODWIT_TRY(batch_.write(*connection.out));
  connection.last_block = &block;
  counters_.zero_pages += batch_.zero_pages();
  counters_.normal_pages += batch_.normal_pages();
  counters_.main_channel_bytes += connection.out->bytes() - before;
  counters_.postcopy_bytes += connection.out->bytes() - before;
  if (release_) GODWIT_TRY(memory::discard_pages(block, run));
  return {};
}

bool PostcopyPages::holds_data(std::size_t block, std::uint64_t page) {
  const std::uint64_t stretch = page / kStretchPages;
  if (probed_[block].set(stretch)) {
    const std::uint64_t first = stretch * kStretchPages;
    probes_[block].find({first, std::min(kStretchPages, blocks_[block].pages() - first)}, populated_[block]);
  }
  return populated_[block].test(page);
}

}  // namespace godwit::engine
