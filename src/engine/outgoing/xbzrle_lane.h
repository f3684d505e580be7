// Pages that were sent before leave as their difference to that version (wire-format section 4), as long as
// that makes them smaller. For the passes after the first.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/outgoing/page_batch.h"
#include "engine/outgoing/page_lane.h"
#include "engine/outgoing/xbzrle_cache.h"
#include "engine/outgoing/xbzrle_gain.h"
#include "engine/settings.h"
#include "engine/statistics.h"

namespace godwit::engine {

class XbzrleLane final : public PageLane {
 public:
  /// The cache has the size of the parameter, but at least `least_cache_bytes`.
  XbzrleLane(PageBatch& batch, std::span<const RamBlock> blocks, const Settings& settings,
             Statistics& statistics, std::uint64_t least_cache_bytes = 0);

  Result<> send(StreamWriter& out, const PageRun& run) override;
  void guest_stopped() override { last_stage_ = true; }

  /// Deltas have not stepped aside.
  bool pays() const { return gain_.pays(); }

 private:
  Result<> adopt_size();
  void add_deltas(const PageRun& run);
  void add_aside(const PageRun& run);
  void add_zero(std::uint64_t page, std::uint64_t number);
  void add_unknown(std::uint64_t page, std::uint64_t number, const std::byte* live);
  void add_known(std::uint64_t page, std::byte* version, const std::byte* live, const RamBlock& block);

  PageBatch& batch_;
  const Settings& settings_;
  const bool finds_zeros_;
  const std::uint64_t least_cache_bytes_;
  RamCounters& ram_;
  XbzrleCounters& counters_;
  std::vector<std::uint64_t> first_number_;  ///< of each block: numbers its pages go by in the cache
  std::optional<XbzrleCache> cache_;
  std::uint64_t refused_size_ = 0;  ///< a cache size there was no memory for
  std::uint64_t pass_ = 0;
  XbzrleGain gain_;
  std::uint64_t crowded_out_ = 0;  ///< pages of a run that were not found because another has the place
  bool last_stage_ = false;        ///< the cache is read, and not changed any more

  alignas(64) std::array<std::byte, page_size> steady_;  ///< a copy of the page that nobody writes to
  std::unique_ptr<std::byte[]> deltas_;                  ///< a page's room for each page of a run
  std::size_t deltas_used_ = 0;                          ///< bytes
};

}  // namespace godwit::engine
