// All pages as they are, zeros among them: what zero-page-detection=none asks for.
#pragma once

#include "engine/outgoing/page_batch.h"
#include "engine/outgoing/page_lane.h"
#include "engine/statistics.h"

namespace godwit::engine {

class UnscannedLane final : public PageLane {
 public:
  UnscannedLane(PageBatch& batch, RamCounters& counters) : batch_(batch), counters_(counters) {}

  Result<> send(StreamWriter& out, const PageRun& run) override {
    batch_.begin(run.block);
    for (std::uint64_t page = run.range.first; page < run.range.first + run.range.count; ++page)
      batch_.add_normal(page);
    GODWIT_TRY(batch_.write(out));
    counters_.normal_pages += batch_.normal_pages();
    return {};
  }

 private:
  PageBatch& batch_;
  RamCounters& counters_;
};

}  // namespace godwit::engine
