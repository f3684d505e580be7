#include "engine/outgoing/multifd_lane.h"

#include "memory/zero_scan.h"

namespace godwit::engine {

Result<> MultifdLane::send(StreamWriter& out, const PageRun& run) {
  batch_.begin(run.block);
  if (detection_ == ZeroPageDetection::multifd) {
    for (std::uint64_t page = run.range.first; page < run.range.first + run.range.count; ++page)
      GODWIT_TRY(sender_.add_unscanned(run.block, page, run.untouched(page)));
    return {};
  }
  for (std::uint64_t page = run.range.first; page < run.range.first + run.range.count; ++page) {
    if (detection_ != ZeroPageDetection::none &&
        (run.untouched(page) || memory::is_zero_page(run.block.host + page * page_size))) {
      batch_.add_zero(page);
    } else {
      GODWIT_TRY(sender_.add(run.block, page));
      ++counters_.normal_pages;
    }
  }
  if (batch_.pages() == 0) return {};
  GODWIT_TRY(batch_.write(out));
  counters_.zero_pages += batch_.zero_pages();
  return {};
}

}  // namespace godwit::engine
