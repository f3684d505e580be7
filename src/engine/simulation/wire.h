// A connection whose faults come at the bytes that the plan names. Below it is a pair of sockets, so that the
// engines wait for it as they wait for any other; time passes at once where somebody waits for what cannot
// come.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "channel/channel.h"
#include "channel/listener.h"
#include "channel/socket_channel.h"
#include "engine/simulation/clock.h"
#include "engine/simulation/fault_plan.h"
#include "engine/simulation/world.h"

namespace godwit::engine::simulation {

class Wire : public std::enable_shared_from_this<Wire> {
 public:
  struct Ends {
    std::shared_ptr<Wire> wire;
    std::unique_ptr<channel::Channel> source;
    std::unique_ptr<channel::Channel> destination;
  };
  /// `clocks`: of the source and of the destination.
  static Ends make(World& world, std::array<SimClock*, 2> clocks, std::vector<Trigger> triggers);

  /// Any thread: both ends see a broken connection; `losing`, what is on its way is gone.
  void cut(bool losing);
  /// Any thread: ends a stall.
  void release();
  /// Any thread: something on it does not move.
  bool is_silent() const;
  /// How often each fault came to pass.
  const std::array<unsigned, static_cast<std::size_t>(Fault::count)>& happened() const { return happened_; }
  /// How the last silence is to end.
  Ending ending() const;

 private:
  friend class WireEnd;
  enum class Flow : std::uint8_t { moves, stalled, silent };
  struct Direction {
    unsigned writes = 0;
    Flow flow = Flow::moves;
    bool ends = false;  ///< the reader sees an end
  };

  Wire(World& world, std::array<SimClock*, 2> clocks, std::vector<Trigger> triggers)
      : world_(world), clocks_(clocks), triggers_(std::move(triggers)) {}
  const Trigger* next_trigger(int side);
  void cut_locked(bool losing);
  void silence(int side);

  World& world_;
  const std::array<SimClock*, 2> clocks_;
  std::vector<Trigger> triggers_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::array<Direction, 2> directions_;  ///< [i]: written by end i
  std::array<int, 2> sockets_{-1, -1};
  bool broken_ = false;
  bool lost_ = false;
  Ending ending_ = Ending::give_up;
  std::array<unsigned, static_cast<std::size_t>(Fault::count)> happened_{};
};

/// Gives out the channels that the driver puts in.
class SimListener final : public channel::Listener {
 public:
  ~SimListener() override { close(); }
  Result<std::unique_ptr<channel::Channel>> accept() override;
  void close() noexcept override;
  std::vector<channel::ListeningAddress> addresses() const override { return {}; }
  bool multi_channel() const override { return true; }
  void put(std::unique_ptr<channel::Channel> channel);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<channel::Channel>> waiting_;
  bool closed_ = false;
};

}  // namespace godwit::engine::simulation
