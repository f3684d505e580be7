// Pages leave over several channels at once; zero pages and the order of things stay on the main one
// (wire-format section 6).
#pragma once

#include "engine/outgoing/multifd_sender.h"
#include "engine/outgoing/page_batch.h"
#include "engine/outgoing/page_lane.h"
#include "engine/statistics.h"

namespace godwit::engine {

class MultifdLane final : public PageLane {
 public:
  MultifdLane(PageBatch& batch, MultifdSender& sender, RamCounters& counters)
      : batch_(batch), sender_(sender), counters_(counters) {}

  Result<> send(StreamWriter& out, const PageRun& run) override;
  /// Each end mark on the main channel goes with one SYNC on every other: the destination waits for both.
  Result<> finish_section(StreamWriter&) override { return sender_.synchronize(); }

 private:
  PageBatch& batch_;
  MultifdSender& sender_;
  RamCounters& counters_;
};

}  // namespace godwit::engine
