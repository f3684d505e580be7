// All connections between a source and a destination: any number of them for each attempt, in the order in
// which the source makes them.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/simulation/door.h"
#include "engine/simulation/wire.h"

namespace godwit::engine::simulation {

/// Thread-safe. What is said of connections is said of those of the present attempt.
class Network {
 public:
  explicit Network(World& world) : world_(world) {}

  /// Another attempt, to whoever listens at `door`; `clocks` are the source's and the destination's.
  void begin(std::vector<Trigger> triggers, std::shared_ptr<Door> door, std::array<SimClock*, 2> clocks);
  /// One more connection: the source's end of it. Refused where nobody listens, and after cut().
  Result<std::unique_ptr<channel::Channel>> connect();

  /// All connections break, and there are no new ones.
  void cut(bool losing);
  /// Ends each stall.
  void release();
  /// Something does not move.
  bool is_silent() const;
  /// How the silence that came first is to end.
  Ending ending() const;
  /// The source has tried to connect, and this side has let go of the connections that came of it: of all, or
  /// of the `first` ones.
  bool is_left_by(Side side, std::size_t first = ~std::size_t{0}) const;
  /// How often each fault came to pass, in all attempts.
  FaultCounts happened() const;

 private:
  World& world_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Wire>> wires_;
  std::vector<Trigger> triggers_;
  std::shared_ptr<Door> door_;
  std::array<SimClock*, 2> clocks_{};
  bool tried_ = false;
  bool cut_ = false;
  FaultCounts happened_before_{};
};

}  // namespace godwit::engine::simulation
