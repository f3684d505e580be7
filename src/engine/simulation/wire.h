// A connection whose faults come at the bytes that the plan names. Below it is a pair of sockets, so that the
// engines wait for it as they wait for any other; time passes at once where somebody waits for what cannot
// come.
#pragma once

#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "channel/channel.h"
#include "channel/socket_channel.h"
#include "engine/simulation/clock.h"
#include "engine/simulation/fault_plan.h"
#include "engine/simulation/world.h"

namespace godwit::engine::simulation {

using FaultCounts = std::array<unsigned, static_cast<std::size_t>(Fault::count)>;

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
  /// Any thread: this side's end is gone.
  bool is_closed(Side side) const;
  /// Any thread: adds how often each fault came to pass.
  void count(FaultCounts& counts) const;
  /// How the last silence is to end.
  Ending ending() const;

 private:
  friend class WireEnd;
  enum class Flow : std::uint8_t { moves, stalled, silent };
  struct Direction {
    unsigned writes = 0;
    Flow flow = Flow::moves;
    bool ends = false;    ///< the reader sees an end
    bool broken = false;  ///< the writer's connection, both ways
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
  std::array<int, 2> sockets_{-1, -1};   ///< -1: closed
  bool lost_ = false;                    ///< what was on its way when it broke
  Ending ending_ = Ending::give_up;
  FaultCounts happened_{};
};

}  // namespace godwit::engine::simulation
