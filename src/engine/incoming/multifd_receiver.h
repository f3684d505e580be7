// The destination's data channels of multifd. Each has a connection and a thread that finds out what it is
// and puts its pages to their places (wire-format section 6).
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <godwit/guest.h>
#include <godwit/result.h>

#include "channel/channel.h"
#include "engine/incoming/packet_input.h"
#include "wire/multifd_compression.h"

namespace godwit::engine {

class RamLoader;

/// What the source has to be like.
struct MultifdExpectation {
  unsigned channels = 2;
  wire::MultifdMethod method = wire::MultifdMethod::none;
  Uuid uuid{};                                 ///< zeros: the guest has none
  std::chrono::milliseconds patience{10'000};  ///< from the first connection to the last one
};

/// The incoming thread adds connections and loads the main channel; shutdown() is for any thread. The first
/// channel that fails ends all of them, the main one included.
class MultifdReceiver {
 public:
  /// The connection that turned out to be the main one, and what was read of it.
  struct MainChannel {
    std::unique_ptr<channel::Channel> channel;
    std::array<std::byte, 4> first_bytes;
  };

  /// `on_failure` is called once, on a channel's thread, when a connection is not what it has to be or a
  /// channel fails: the caller wakes who accepts, and who reads the main channel.
  MultifdReceiver(MultifdExpectation expectation, std::function<void()> on_failure);
  ~MultifdReceiver();

  /// How many connections there have to be, the main one included.
  unsigned connections() const { return expectation_.channels + 1; }

  /// A connection that was accepted. What it is, it says itself: they come in any order.
  void add(std::unique_ptr<channel::Channel> connection);

  /// Waits until all have said what they are.
  Result<MainChannel> wait_for_all();

  /// Pages go there from here on.
  void start(RamLoader& loader);

  /// The main channel has come to a point of synchronisation: waits until every channel has, and lets them go
  /// on.
  Result<> synchronize();

  /// The guest has gone into postcopy, whose pages come on the main channel: from here on nothing but
  /// synchronisations may come, and nobody waits for them. A channel that breaks breaks nothing.
  void no_more_pages();

  /// Ends all channels for good; any thread.
  void shutdown() noexcept;

  /// Shuts the channels down and joins their threads.
  void close() noexcept;

  /// Why the channels have failed, if they have; any thread.
  std::optional<Error> error() const;

 private:
  struct Connection;

  void watch_arrivals();
  void run(Connection& connection);
  Result<bool> introduce(Connection& connection);
  Result<> receive(Connection& connection);
  Result<> place(Connection& connection, wire::MultifdReader& reader,
                 wire::MultifdDecompressor* decompressor);
  Result<> pass_sync(Connection& connection);
  void fail_all(Error error);
  std::unexpected<Error> failed() const;

  const MultifdExpectation expectation_;
  const std::function<void()> on_failure_;

  mutable std::mutex mutex_;  ///< guards what follows, and the states of the connections
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<bool> present_;  ///< by channel id
  unsigned introduced_ = 0;
  std::optional<MainChannel> main_;
  RamLoader* loader_ = nullptr;
  std::uint64_t passed_ = 0;                ///< points of synchronisation behind us
  std::atomic<bool> no_more_pages_{false};  ///< also read without the lock
  bool stopped_ = false;
  std::optional<Error> error_;
  std::jthread arrivals_;  ///< from the first connection until all are there
};

}  // namespace godwit::engine
