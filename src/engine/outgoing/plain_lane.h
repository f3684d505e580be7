// Pages as they are: headers and memory in one vectored write per run.
#pragma once

#include "engine/outgoing/page_batch.h"
#include "engine/outgoing/page_lane.h"
#include "engine/statistics.h"

namespace godwit::engine {

class PlainLane final : public PageLane {
 public:
  PlainLane(PageBatch& batch, RamCounters& counters) : batch_(batch), counters_(counters) {}

  Result<> send(StreamWriter& out, const PageRun& run) override;

 private:
  PageBatch& batch_;
  RamCounters& counters_;
};

}  // namespace godwit::engine
