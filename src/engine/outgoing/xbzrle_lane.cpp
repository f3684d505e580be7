#include "engine/outgoing/xbzrle_lane.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "memory/zero_scan.h"
#include "wire/xbzrle.h"

namespace godwit::engine {

XbzrleLane::XbzrleLane(PageBatch& batch, std::span<const RamBlock> blocks, const Settings& settings,
                       Statistics& statistics, std::uint64_t least_cache_bytes)
    : batch_(batch),
      settings_(settings),
      finds_zeros_(settings.parameters().zero_page_detection != ZeroPageDetection::none),
      least_cache_bytes_(least_cache_bytes),
      ram_(statistics.ram),
      counters_(statistics.xbzrle),
      deltas_(std::make_unique_for_overwrite<std::byte[]>(PageBatch::capacity * page_size)) {
  std::uint64_t number = 0;
  for (const RamBlock& block : blocks) {
    first_number_.push_back(number);
    number += block.pages();
  }
}

Result<> XbzrleLane::send(StreamWriter& out, const PageRun& run) {
  GODWIT_TRY(adopt_size());
  pass_ = ram_.synchronizations;
  deltas_used_ = 0;
  batch_.begin(run.block);
  if (gain_.pays())
    add_deltas(run);
  else
    add_aside(run);
  if (batch_.pages() == 0) return {};  // all as they were
  GODWIT_TRY(batch_.write(out));
  ram_.zero_pages += batch_.zero_pages();
  ram_.normal_pages += batch_.normal_pages();
  ram_.encoded_pages += batch_.encoded_pages();
  return {};
}

void XbzrleLane::add_deltas(const PageRun& run) {
  const std::uint64_t hits = counters_.hits;
  const std::uint64_t bytes = counters_.bytes;
  crowded_out_ = 0;
  const std::uint64_t first_number = first_number_[run.block_index];
  for (std::uint64_t page = run.range.first; page < run.range.first + run.range.count; ++page) {
    const std::byte* live = run.block.host + page * page_size;
    const std::uint64_t number = first_number + page;
    if (finds_zeros_ && memory::is_zero_page(live))
      add_zero(page, number);
    else if (std::byte* version = cache_->find(number, pass_))
      add_known(page, version, live, run.block);
    else
      add_unknown(page, number, live);
  }
  if (gain_.made_deltas(counters_.hits - hits, counters_.bytes - bytes, crowded_out_))
    log::info("xbzrle: deltas are hardly smaller than pages, or the cache is too small: sending them whole");
}

/// The destination gets versions that are not in the cache: none of them may be the start of a delta later.
void XbzrleLane::add_aside(const PageRun& run) {
  const std::uint64_t first_number = first_number_[run.block_index];
  for (std::uint64_t page = run.range.first; page < run.range.first + run.range.count; ++page) {
    cache_->forget(first_number + page);
    if (finds_zeros_ && memory::is_zero_page(run.block.host + page * page_size))
      batch_.add_zero(page);
    else
      batch_.add_normal(page);
  }
  if (gain_.stayed_aside(run.range.count)) log::info("xbzrle: trying deltas again");
}

/// The size may be changed at any time; the versions are dropped with the old cache.
Result<> XbzrleLane::adopt_size() {
  const std::uint64_t size = std::max(settings_.xbzrle_cache_size(), least_cache_bytes_);
  if (cache_ && (cache_->bytes() == size || refused_size_ == size)) return {};
  auto cache = XbzrleCache::make(size);
  if (!cache) {
    if (!cache_) return fail(std::move(cache).error());
    log::warn("{}; going on with {} bytes", cache.error().explain(), cache_->bytes());
    refused_size_ = size;
    return {};
  }
  cache_ = *std::move(cache);
  refused_size_ = 0;
  return {};
}

void XbzrleLane::add_zero(std::uint64_t page, std::uint64_t number) {
  batch_.add_zero(page);
  if (last_stage_) return;
  if (std::byte* version = cache_->insert(number, pass_)) std::memset(version, 0, page_size);
}

void XbzrleLane::add_unknown(std::uint64_t page, std::uint64_t number, const std::byte* live) {
  ++counters_.misses;
  if (cache_->taken(number)) ++crowded_out_;
  std::byte* version = last_stage_ ? nullptr : cache_->insert(number, pass_);
  if (!version) {
    batch_.add_normal(page);
    return;
  }
  // What is sent is the copy: the guest may write to the page between the two.
  std::memcpy(version, live, page_size);
  batch_.add_normal(page, version);
}

void XbzrleLane::add_known(std::uint64_t page, std::byte* version, const std::byte* live,
                           const RamBlock& block) {
  ++counters_.hits;
  if (!last_stage_) {
    std::memcpy(steady_.data(), live, page_size);
    live = steady_.data();
  }
  const std::span<std::byte, page_size> delta(deltas_.get() + deltas_used_, page_size);
  const wire::XbzrleDelta result = wire::encode_xbzrle(version, live, delta);
  if (result.kind == wire::XbzrleDelta::Kind::unchanged) return;
  if (!last_stage_) std::memcpy(version, live, page_size);
  if (result.kind == wire::XbzrleDelta::Kind::overflow) {
    ++counters_.overflows;
    counters_.bytes += page_size;
    // The last stage sends what is in the guest, which stands still; before it, what is in the cache.
    batch_.add_normal(page, last_stage_ ? live : version);
    return;
  }
  counters_.bytes += 3 + result.size + (batch_.names_block() ? 1 + block.name.size() : 0);
  batch_.add_encoded(page, wire::PageKind::xbzrle, delta.first(result.size));
  deltas_used_ += result.size;
}

}  // namespace godwit::engine
