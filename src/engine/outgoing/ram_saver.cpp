#include "engine/outgoing/ram_saver.h"

#include <algorithm>
#include <utility>

namespace godwit::engine {
namespace {

/// How much the first pass re-arms and asks about at once: 16 MiB.
constexpr std::uint64_t kStretchPages = 4096;

}  // namespace

RamSaver::RamSaver(std::span<const RamBlock> blocks, DirtyTracker& tracker, Lanes& lanes,
                   RamCounters& counters, bool ignore_shared)
    : blocks_(blocks), tracker_(tracker), lanes_(lanes), counters_(counters), ignore_shared_(ignore_shared) {}

Result<> RamSaver::start() {
  std::uint64_t total = 0;
  dirty_.clear();
  probes_.clear();
  for (const RamBlock& block : blocks_) {
    probes_.emplace_back(block);
    DirtyBitmap& bitmap = dirty_.emplace_back(block.pages());
    if (ignored(block)) continue;
    bitmap.set_all();
    total += block.pages();
  }
  counters_.total_bytes = total * page_size;
  counters_.dirty_pages = total;
  GODWIT_TRY(tracker_.start(blocks_));
  tracking_ = true;
  return {};
}

void RamSaver::stop() noexcept {
  if (tracking_) tracker_.stop();
  tracking_ = false;
}

Result<> RamSaver::write_setup(StreamWriter& out, bool host_page_sizes) {
  std::vector<wire::BlockEntry> entries;
  for (const RamBlock& block : blocks_) {
    wire::BlockEntry& entry = entries.emplace_back();
    entry.name = block.name;
    entry.length = block.size;
    if (host_page_sizes && block.host_page_size != page_size) entry.host_page_size = block.host_page_size;
    if (ignore_shared_) entry.guest_address = block.guest_address;
  }
  // Largest first, as peers list them; the order has no meaning.
  std::ranges::stable_sort(entries, std::ranges::greater{}, &wire::BlockEntry::length);
  return lanes_.write_block_list(out, entries);
}

Result<std::uint64_t> RamSaver::synchronize() {
  GODWIT_ASSIGN(std::uint64_t fresh, tracker_.collect(dirty_));
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    if (!ignored(blocks_[i])) continue;
    fresh -= dirty_[i].count();
    dirty_[i].clear_all();
  }
  counters_.dirty_pages += fresh;
  prepared_ = {};
  return fresh;
}

Result<std::uint64_t> RamSaver::look() {
  std::vector<DirtyBitmap> found;
  for (const RamBlock& block : blocks_) found.emplace_back(block.pages());
  GODWIT_TRY(tracker_.collect(found));
  prepared_ = {};
  std::uint64_t written = 0;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    if (ignored(blocks_[i])) continue;
    // What the first pass has not come to is dirty anyway, and a tracker may say so of all of it.
    const std::uint64_t sent = sent_pages(i);
    found[i].clear_range({sent, blocks_[i].pages() - sent});
    const auto words = found[i].words();
    std::uint64_t fresh = 0;
    for (std::size_t word = 0; word < words.size(); ++word) fresh += dirty_[i].merge_word(word, words[word]);
    counters_.dirty_pages += fresh;
    // A tracker may report a page again and again until it is re-armed, written or not.
    written += first_pass_ ? found[i].count() : fresh;
    if (first_pass_) GODWIT_TRY(tracker_.rearm(i, {0, sent}, dirty_[i]));
  }
  return written;
}

/// How many pages from its start on the pass has behind it; all, if that is not the first one.
std::uint64_t RamSaver::sent_pages(std::size_t block) const {
  if (!first_pass_ || block < block_) return blocks_[block].pages();
  return block == block_ ? page_ : 0;
}

std::vector<DirtyBitmap> RamSaver::hand_over_rest() {
  handed_over_ = true;
  return std::move(dirty_);
}

Result<bool> RamSaver::send_slice(StreamWriter& out, const SliceLimits& limits) {
  std::size_t blocks_without_dirty_page = 0;
  while (counters_.dirty_pages > 0 && blocks_without_dirty_page <= blocks_.size()) {
    if (limits.expired()) return false;
    const std::uint64_t bytes_left = limits.bytes_left();
    if (bytes_left == 0) return false;
    const std::uint64_t most = std::clamp<std::uint64_t>(bytes_left / page_size, 1, PageBatch::capacity);
    PageRange run = dirty_[block_].next_run(page_, most);
    if (run.count == 0) {
      ++blocks_without_dirty_page;
      page_ = 0;
      if (++block_ == blocks_.size()) GODWIT_TRY(wrap_around(out));
      continue;
    }
    blocks_without_dirty_page = 0;
    if (first_pass_) {
      GODWIT_TRY(prepare(block_, run.first));
      run.count = std::min(run.count, prepared_.first + prepared_.count - run.first);
    }
    GODWIT_TRY(send_run(out, block_, run));
    page_ = run.first + run.count;
  }
  return true;
}

/// Makes `page` part of a stretch whose pages are re-armed and known to hold data or not.
Result<> RamSaver::prepare(std::size_t block_index, std::uint64_t page) {
  if (prepared_block_ == block_index && page - prepared_.first < prepared_.count) return {};
  const std::uint64_t pages = blocks_[block_index].pages();
  if (populated_.pages() != pages || prepared_block_ != block_index) populated_ = DirtyBitmap(pages);
  prepared_block_ = block_index;
  prepared_.first = page / kStretchPages * kStretchPages;
  prepared_.count = std::min(kStretchPages, pages - prepared_.first);
  GODWIT_TRY(tracker_.rearm(block_index, prepared_, dirty_[block_index]));
  probes_[block_index].find(prepared_, populated_);
  return {};
}

/// The next pass begins.
Result<> RamSaver::wrap_around(StreamWriter& out) {
  block_ = 0;
  if (!first_pass_) return {};
  first_pass_ = false;
  const std::uint64_t before = out.bytes();
  GODWIT_TRY(lanes_.first_pass_ended(out));
  count_bytes(out.bytes() - before);
  return {};
}

Result<> RamSaver::send_run(StreamWriter& out, std::size_t block_index, PageRange range) {
  // A guest that is stopped writes no more: nobody will ask again, and this is the blackout.
  if (!first_pass_ && !guest_stopped_) GODWIT_TRY(tracker_.rearm(block_index, range, dirty_[block_index]));
  dirty_[block_index].clear_range(range);
  counters_.dirty_pages -= range.count;
  counters_.handled_pages += range.count;
  const std::uint64_t before = out.bytes();
  GODWIT_TRY(lanes_.current().send(
      out, {blocks_[block_index], block_index, range, first_pass_ ? &populated_ : nullptr}));
  count_bytes(out.bytes() - before);
  return {};
}

Result<> RamSaver::finish_section(StreamWriter& out) {
  if (handed_over_) return lanes_.end_section_of_postcopy();
  const std::uint64_t before = out.bytes();
  GODWIT_TRY(lanes_.current().finish_section(out));
  count_bytes(out.bytes() - before);
  return {};
}

void RamSaver::guest_stopped() {
  guest_stopped_ = true;
  lanes_.guest_stopped();
}

void RamSaver::count_bytes(std::uint64_t bytes) {
  counters_.main_channel_bytes += bytes;
  (handed_over_     ? counters_.postcopy_bytes
   : guest_stopped_ ? counters_.downtime_bytes
                    : counters_.precopy_bytes) += bytes;
}

}  // namespace godwit::engine
