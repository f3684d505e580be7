#include "engine/outgoing/plain_lane.h"

#include "memory/zero_scan.h"

namespace godwit::engine {

Result<> PlainLane::send(StreamWriter& out, const PageRun& run) {
  batch_.begin(run.block);
  for (std::uint64_t page = run.range.first; page < run.range.first + run.range.count; ++page) {
    if (run.untouched(page) || memory::is_zero_page(run.block.host + page * page_size))
      batch_.add_zero(page);
    else
      batch_.add_normal(page);
  }
  GODWIT_TRY(batch_.write(out));
  counters_.zero_pages += batch_.zero_pages();
  counters_.normal_pages += batch_.normal_pages();
  return {};
}

}  // namespace godwit::engine
