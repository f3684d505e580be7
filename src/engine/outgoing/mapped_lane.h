// Pages leave for their fixed places in a file, written by this thread or by those of multifd.
#pragma once

#include "engine/outgoing/mapped_ram_writer.h"
#include "engine/outgoing/multifd_sender.h"
#include "engine/outgoing/page_lane.h"
#include "engine/statistics.h"

namespace godwit::engine {

class MappedLane final : public PageLane {
 public:
  /// `sender` may be null: then this thread writes.
  MappedLane(MappedRamWriter& file, MultifdSender* sender, ZeroPageDetection detection, RamCounters& counters)
      : file_(file), sender_(sender), detection_(detection), counters_(counters) {}

  Result<> send(StreamWriter& out, const PageRun& run) override;
  /// A page is written once between two ends of sections, so that its last version stays.
  Result<> finish_section(StreamWriter&) override { return sender_ ? sender_->synchronize() : Result<>{}; }

 private:
  Result<> write(StreamWriter& out, const PageRun& run, PageRange pages);

  MappedRamWriter& file_;
  MultifdSender* sender_;
  const ZeroPageDetection detection_;  ///< by this thread, if at all: it keeps the bitmaps
  RamCounters& counters_;
};

}  // namespace godwit::engine
