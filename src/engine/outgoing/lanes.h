// Which way the pages of this migration take, chosen once from its capabilities.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include <godwit/guest.h>

#include "engine/capabilities.h"
#include "engine/outgoing/auto_lanes.h"
#include "engine/outgoing/mapped_ram_writer.h"
#include "engine/outgoing/multifd_channel.h"
#include "engine/outgoing/multifd_sender.h"
#include "engine/outgoing/page_batch.h"
#include "engine/outgoing/page_lane.h"
#include "engine/outgoing/xbzrle_lane.h"
#include "engine/settings.h"
#include "engine/statistics.h"

namespace godwit::engine {

/// Used by the migration thread, but for what says otherwise.
class Lanes {
 public:
  Lanes(Guest& guest, const Capabilities& capabilities, const Settings& settings, Statistics& statistics);

  /// Makes one more connection to the destination.
  using Connect = std::function<Result<std::unique_ptr<channel::Channel>>()>;

  /// Opens what the pages need besides the main channel, which is connected, or with it. `on_failure` is
  /// called on another thread when that breaks.
  Result<> connect(const channel::Channel& main, const Connect& connect, std::function<void()> on_failure);

  /// The list of RAM blocks, with what this way of sending pages needs in it.
  Result<> write_block_list(StreamWriter& out, std::span<const wire::BlockEntry> entries);
  /// The last page was handed over and the last section finished.
  Result<> all_pages_sent() { return mapped_ ? mapped_->write_bitmaps() : Result<>{}; }

  /// Fails if the destination does not take what went beside the main channel. After the last section.
  Result<> confirm() { return multifd_ ? multifd_->confirm() : Result<>{}; }

  PageLane& current() { return *current_; }

  /// x-auto-lanes: how the passes after the first one are sent. Before first_pass_ended().
  void choose(const schema::AutoLanesInfo& choice);
  /// x-auto-lanes: a bandwidth window has ended, over which so much went.
  void window_ended(double bytes_per_ms);
  /// Pages leave as deltas, and that makes them smaller.
  bool deltas_pay() const { return current_ == later_.get() && deltas_ && deltas_->pays(); }
  /// Over all windows so far, with the number of channels that carried most.
  double best_bytes_per_ms() const { return trial_.best_bytes_per_ms(); }
  unsigned trial_channels() const { return trial_.channels(); }

  /// The next pass may take another way.
  Result<> first_pass_ended(StreamWriter& out);
  void guest_stopped();
  /// A section of postcopy ends, whose pages went past the lanes: the other channels come as far.
  Result<> end_section_of_postcopy() { return multifd_ && current_ ? multifd_->synchronize() : Result<>{}; }
  /// The next page record names its block.
  void forget_block() { batch_.forget_block(); }

  /// Bytes that went, or are about to go, over other channels than the main one.
  std::uint64_t bytes_beside_main() const { return multifd_ ? multifd_->bytes() : 0; }

  /// Takes the rates of the period that ends now.
  void end_period();

  /// Ends every wait of a lane; any thread.
  void shutdown() noexcept {
    if (mapped_) mapped_->shutdown();
    if (multifd_) multifd_->shutdown();
  }
  /// Closes the channels and gives the lanes' memory and threads back.
  void close() noexcept;
  /// What broke besides the main channel; any thread.
  std::optional<Error> error() const { return multifd_ ? multifd_->error() : std::nullopt; }

 private:
  void use_deltas(std::uint64_t least_cache_bytes);

  /// Figures at the end of the last period.
  struct Period {
    std::uint64_t handled = 0;
    std::uint64_t misses = 0;
    std::uint64_t hits = 0;
    std::uint64_t delta_bytes = 0;
    std::uint64_t busy = 0;
    std::uint64_t compressed = 0;
    std::uint64_t compressed_bytes = 0;
  };

  Guest& guest_;
  const Settings& settings_;
  Statistics& statistics_;
  const bool tries_channels_;
  ChannelTrial trial_;
  const MultifdSettings multifd_settings_;
  PageBatch batch_;
  std::unique_ptr<MappedRamWriter> mapped_;  ///< with mapped-ram
  std::unique_ptr<MultifdSender> multifd_;
  std::unique_ptr<PageLane> first_;
  std::unique_ptr<PageLane> later_;  ///< null: the same
  XbzrleLane* deltas_ = nullptr;     ///< later_, if it is that
  PageLane* current_;
  Period period_;
};

}  // namespace godwit::engine
