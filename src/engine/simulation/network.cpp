#include "engine/simulation/network.h"

#include <algorithm>
#include <iterator>
#include <ranges>
#include <utility>

#include "base/fail.h"

namespace godwit::engine::simulation {

void Network::begin(std::vector<Trigger> triggers, std::shared_ptr<Door> door,
                    std::array<SimClock*, 2> clocks) {
  std::lock_guard lock(mutex_);
  for (const auto& wire : wires_) wire->count(happened_before_);
  wires_.clear();
  triggers_ = std::move(triggers);
  door_ = std::move(door);
  clocks_ = clocks;
  tried_ = cut_ = false;
}

Result<std::unique_ptr<channel::Channel>> Network::connect() {
  std::lock_guard lock(mutex_);
  tried_ = true;
  const std::size_t number = wires_.size();
  std::vector<Trigger> mine;
  std::ranges::copy_if(triggers_, std::back_inserter(mine),
                       [number](const Trigger& trigger) { return trigger.connection == number; });
  auto ends = Wire::make(world_, clocks_, std::move(mine));
  if (cut_ || !door_->put(std::move(ends.destination)))
    return fail("Failed to connect to '/simulated': Connection refused");
  wires_.push_back(std::move(ends.wire));
  return std::move(ends.source);
}

void Network::cut(bool losing) {
  std::lock_guard lock(mutex_);
  cut_ = true;
  for (const auto& wire : wires_) wire->cut(losing);
}

void Network::release() {
  std::lock_guard lock(mutex_);
  for (const auto& wire : wires_) wire->release();
}

bool Network::is_silent() const {
  std::lock_guard lock(mutex_);
  return std::ranges::any_of(wires_, [](const auto& wire) { return wire->is_silent(); });
}

Ending Network::ending() const {
  std::lock_guard lock(mutex_);
  const auto at = std::ranges::find_if(wires_, [](const auto& wire) { return wire->is_silent(); });
  return at == wires_.end() ? Ending::give_up : (*at)->ending();
}

bool Network::is_left_by(Side side, std::size_t first) const {
  std::lock_guard lock(mutex_);
  return tried_ && std::ranges::all_of(std::views::take(wires_, first),
                                       [side](const auto& wire) { return wire->is_closed(side); });
}

FaultCounts Network::happened() const {
  std::lock_guard lock(mutex_);
  FaultCounts counts = happened_before_;
  for (const auto& wire : wires_) wire->count(counts);
  return counts;
}

}  // namespace godwit::engine::simulation
