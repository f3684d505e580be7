#include "engine/simulation/world.h"

#include <fmt/format.h>
#include <utility>

namespace godwit::engine::simulation {

void World::runs(unsigned host) {
  std::lock_guard lock(mutex_);
  for (const auto& [other, running] : running_)
    if (running && other != host)
      violations_.push_back(fmt::format("host {} runs the guest while host {} runs it", host, other));
  running_[host] = true;
  ++changes_;
  changed_.notify_all();
}

void World::stands(unsigned host) {
  std::lock_guard lock(mutex_);
  if (auto at = running_.find(host); at != running_.end()) at->second = false;
}

void World::claims(unsigned host, std::uint64_t epoch) {
  std::lock_guard lock(mutex_);
  const auto [at, fresh] = epochs_.emplace(epoch, host);
  if (!fresh && at->second != host)
    violations_.push_back(
        fmt::format("host {} begins epoch {}, which host {} has begun: two guests", host, epoch, at->second));
}

bool World::is_running(unsigned host) const {
  std::lock_guard lock(mutex_);
  const auto at = running_.find(host);
  return at != running_.end() && at->second;
}

bool World::has_run(unsigned host) const {
  std::lock_guard lock(mutex_);
  return running_.contains(host);
}

void World::violated(std::string what) {
  std::lock_guard lock(mutex_);
  violations_.push_back(std::move(what));
}

std::vector<std::string> World::violations() const {
  std::lock_guard lock(mutex_);
  return violations_;
}

void World::changed() {
  std::lock_guard lock(mutex_);
  ++changes_;
  changed_.notify_all();
}

void World::stuck() {
  std::lock_guard lock(mutex_);
  stuck_ = true;
  ++changes_;
  changed_.notify_all();
}

void World::request(Fault fault) {
  std::unique_lock lock(mutex_);
  if (ended_) return;
  requests_.push_back(fault);
  const std::uint64_t mine = ++asked_;
  ++changes_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return ended_ || answered_ >= mine; });
}

bool World::wait(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  const auto until = std::chrono::steady_clock::now() + limit;
  const bool news = changed_.wait_until(lock, until, [&] { return changes_ != seen_; });
  seen_ = changes_;
  return news;
}

bool World::take_stuck() {
  std::lock_guard lock(mutex_);
  return std::exchange(stuck_, false);
}

std::optional<Fault> World::next_request() {
  std::lock_guard lock(mutex_);
  if (requests_.empty()) return std::nullopt;
  const Fault next = requests_.front();
  requests_.pop_front();
  return next;
}

void World::done() {
  std::lock_guard lock(mutex_);
  ++answered_;
  changed_.notify_all();
}

void World::end() {
  std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

}  // namespace godwit::engine::simulation
