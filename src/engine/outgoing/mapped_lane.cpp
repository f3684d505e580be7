#include "engine/outgoing/mapped_lane.h"

#include "memory/zero_scan.h"

namespace godwit::engine {

Result<> MappedLane::send(StreamWriter& out, const PageRun& run) {
  const std::uint64_t end = run.range.first + run.range.count;
  const auto is_zero = [&](std::uint64_t page) {
    if (detection_ == ZeroPageDetection::none) return false;
    return run.untouched(page) || memory::is_zero_page(run.block.host + page * page_size);
  };
  for (std::uint64_t page = run.range.first; page < end;) {
    const std::uint64_t first = page;
    const bool zeros = is_zero(page);
    do {
      ++page;
    } while (page < end && is_zero(page) == zeros);
    const PageRange pages{first, page - first};
    if (zeros) {
      file_.leave_out(run.block_index, pages);
      counters_.zero_pages += pages.count;
    } else {
      file_.keep(run.block_index, pages);
      GODWIT_TRY(write(out, run, pages));
      counters_.normal_pages += pages.count;
    }
  }
  return {};
}

Result<> MappedLane::write(StreamWriter& out, const PageRun& run, PageRange pages) {
  if (sender_) {
    for (std::uint64_t page = pages.first; page < pages.first + pages.count; ++page)
      GODWIT_TRY(sender_->add(run.block, page));
    return {};
  }
  GODWIT_TRY(file_.write_pages(run.block, pages));
  out.count_elsewhere(pages.count * page_size);
  return {};
}

}  // namespace godwit::engine
