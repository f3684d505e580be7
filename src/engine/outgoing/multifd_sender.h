// The source's data channels of multifd: each has a connection and a thread that writes packets to it
// (wire-format section 6).
#pragma once

#include <algorithm>
#include <atomic>
#include <bitset>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <godwit/ram_block.h>
#include <godwit/result.h>

#include "engine/outgoing/packet_writer.h"
#include "engine/statistics.h"
#include "wire/multifd.h"

namespace godwit::engine {

/// The methods are the migration thread's, but for shutdown(). The first channel that fails ends all of them;
/// what went wrong is the error of the calls that follow.
class MultifdSender {
 public:
  /// Makes channel number `id`.
  using Open = std::function<Result<std::unique_ptr<PacketWriter>>(std::uint8_t id)>;

  MultifdSender(unsigned channels, RamCounters& counters);
  ~MultifdSender();

  /// Opens the channels. `on_failure` is called once, on a channel's thread, when one of them fails: the
  /// caller wakes who waits for the main channel.
  Result<> connect(const Open& open, std::function<void()> on_failure);

  /// Adds a page to the packet that is being filled, and hands that to a channel when it is full or when the
  /// block changes. Waits while all channels are busy.
  Result<> add(const RamBlock& block, std::uint64_t page) { return add(block, page, Content::pages); }

  /// The same where the channel's thread is to find out whether the page holds only zeros, or knows it: such
  /// pages are only named in the packet (wire-format section 16). Does the counting of pages.
  Result<> add_unscanned(const RamBlock& block, std::uint64_t page, bool known_zero) {
    return add(block, page, known_zero ? Content::zeros : Content::unknown);
  }

  /// From here on only the first `channels` of them carry pages.
  void use_channels(unsigned channels) { used_channels_ = std::clamp(channels, 1U, wanted_channels_); }

  /// Returns when every channel has written all pages added so far, and a SYNC packet behind them.
  Result<> synchronize();

  /// After synchronize(): fails if the destination does not take what the channels bring.
  Result<> confirm();

  /// What the channels have written or will write, headers included. What is compressed counts whole until it
  /// is.
  std::uint64_t bytes() const { return written_.load() + promised_.load(); }

  /// Ends all channels for good; any thread.
  void shutdown() noexcept;

  /// Shuts the channels down, joins their threads and closes the connections.
  void close() noexcept;

  /// Why the channels have failed, if they have; any thread.
  std::optional<Error> error() const;

 private:
  enum class Content : std::uint8_t { pages, unknown, zeros };
  struct Job {
    wire::MultifdPacket packet;
    const RamBlock* block = nullptr;
    bool scan = false;  ///< not all pages are known to be `pages`
    std::bitset<wire::MultifdPacket::page_limit> zeros;

    void clear();
    void put_zeros_last();
  };
  struct DataChannel;

  Result<> add(const RamBlock& block, std::uint64_t page, Content content);

  Result<> hand_over();
  void run(DataChannel& channel);
  void fail_all(Error error);
  std::unexpected<Error> failed() const;

  const unsigned wanted_channels_;
  RamCounters& counters_;
  std::function<void()> on_failure_;

  mutable std::mutex mutex_;  ///< guards the members below, and the slots of the channels
  std::condition_variable progress_;
  bool stopped_ = false;
  std::optional<Error> error_;
  std::vector<std::unique_ptr<DataChannel>> channels_;

  unsigned used_channels_ = wanted_channels_;
  Job filling_;  ///< the migration thread's
  std::size_t next_channel_ = 0;
  std::uint64_t packets_ = 0;
  std::atomic<std::uint64_t> written_{0};
  std::atomic<std::uint64_t> promised_{0};
};

}  // namespace godwit::engine
