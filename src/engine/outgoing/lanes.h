// Which way the pages of this migration take, chosen once from its capabilities.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include <godwit/guest.h>

#include "engine/capabilities.h"
#include "engine/outgoing/multifd_sender.h"
#include "engine/outgoing/page_batch.h"
#include "engine/outgoing/page_lane.h"
#include "engine/settings.h"
#include "engine/statistics.h"

namespace godwit::engine {

/// Used by the migration thread, but for what says otherwise.
class Lanes {
 public:
  Lanes(Guest& guest, const Capabilities& capabilities, const Settings& settings, Statistics& statistics);

  /// Opens what the pages need besides the main channel, which is connected. `on_failure` is called on
  /// another thread when that breaks.
  Result<> connect(const MultifdSender::Open& open, std::function<void()> on_failure);

  PageLane& current() { return *current_; }
  /// The next pass may take another way.
  Result<> first_pass_ended(StreamWriter& out);
  void guest_stopped();
  /// The next page record names its block.
  void forget_block() { batch_.forget_block(); }

  /// Bytes that went, or are about to go, over other channels than the main one.
  std::uint64_t bytes_beside_main() const { return multifd_ ? multifd_->bytes() : 0; }

  /// Takes the rates of the period that ends now.
  void end_period();

  /// Ends every wait of a lane; any thread.
  void shutdown() noexcept {
    if (multifd_) multifd_->shutdown();
  }
  /// Closes the channels and gives the lanes' memory and threads back.
  void close() noexcept;
  /// What broke besides the main channel; any thread.
  std::optional<Error> error() const { return multifd_ ? multifd_->error() : std::nullopt; }

 private:
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

  Statistics& statistics_;
  PageBatch batch_;
  std::unique_ptr<MultifdSender> multifd_;
  std::unique_ptr<PageLane> first_;
  std::unique_ptr<PageLane> later_;  ///< null: the same
  PageLane* current_;
  Period period_;
};

}  // namespace godwit::engine
