// Pages leave in zlib's format, each by itself, compressed by several threads (wire-format section 5).
#pragma once

#include <deque>
#include <memory>

#include "engine/outgoing/compress_pool.h"
#include "engine/outgoing/page_batch.h"
#include "engine/outgoing/page_lane.h"
#include "engine/settings.h"
#include "engine/statistics.h"

namespace godwit::engine {

/// Pages wait here, a few at a time, while the next ones are looked at; all have left when a section ends.
/// They leave in the order in which they came, so that within one block each record may continue the one
/// before.
class CompressLane final : public PageLane {
 public:
  CompressLane(PageBatch& batch, const Settings& settings, Statistics& statistics);

  Result<> send(StreamWriter& out, const PageRun& run) override;
  Result<> finish_section(StreamWriter& out) override;

 private:
  Result<> add(StreamWriter& out, const RamBlock& block, std::uint64_t page);
  void hand_over();
  Result<> write_finished(StreamWriter& out, std::size_t at_least);
  void add_to_batch(const CompressJob& job);
  Result<> write_batch(StreamWriter& out);

  PageBatch& batch_;
  const Settings& settings_;
  const bool finds_zeros_;
  RamCounters& ram_;
  CompressionCounters& counters_;
  CompressPool pool_;
  CompressJob* open_ = nullptr;       ///< is being filled
  std::deque<CompressJob*> ordered_;  ///< with the workers, or done and not written yet; oldest first
};

}  // namespace godwit::engine
