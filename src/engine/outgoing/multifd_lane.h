// Pages leave over several channels at once; the order of things stays on the main one, and so do zero pages,
// unless the channels find them (wire-format sections 6 and 16).
#pragma once

#include "engine/outgoing/multifd_sender.h"
#include "engine/outgoing/page_batch.h"
#include "engine/outgoing/page_lane.h"
#include "engine/statistics.h"

namespace godwit::engine {

class MultifdLane final : public PageLane {
 public:
  MultifdLane(PageBatch& batch, MultifdSender& sender, ZeroPageDetection detection, RamCounters& counters)
      : batch_(batch), sender_(sender), detection_(detection), counters_(counters) {}

  Result<> send(StreamWriter& out, const PageRun& run) override;
  /// Each end mark on the main channel goes with one SYNC on every other: the destination waits for both.
  Result<> finish_section(StreamWriter&) override { return sender_.synchronize(); }

 private:
  PageBatch& batch_;
  MultifdSender& sender_;
  const ZeroPageDetection detection_;
  RamCounters& counters_;
};

}  // namespace godwit::engine
