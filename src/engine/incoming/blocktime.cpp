#include "engine/incoming/blocktime.h"

#include <algorithm>
#include <utility>

namespace godwit::engine {

Blocktime::Blocktime(std::vector<int> vcpu_thread_ids)
    : thread_ids_(std::move(vcpu_thread_ids)),
      waits_(thread_ids_.size()),
      vcpu_ns_(std::make_unique<std::atomic<std::int64_t>[]>(thread_ids_.size())) {}

void Blocktime::begin(int thread_id, std::size_t block, std::uint64_t offset, Nanoseconds now) {
  const auto at = std::ranges::find(thread_ids_, thread_id);
  if (at == thread_ids_.end()) return;
  auto& wait = waits_[static_cast<std::size_t>(at - thread_ids_.begin())];
  // It is woken and faults again where a page went away; the wait goes on.
  if (wait && wait->block == block && wait->offset == offset) return;
  if (!wait) ++waiting_;
  wait = Wait{block, offset, now};
  last_begin_ = now;
}

void Blocktime::end(std::size_t block, std::uint64_t offset, Nanoseconds now) {
  bool counted = false;
  const bool all = waiting_ == waits_.size();
  for (std::size_t vcpu = 0; vcpu < waits_.size(); ++vcpu) {
    auto& wait = waits_[vcpu];
    if (!wait || wait->block != block || wait->offset != offset) continue;
    vcpu_ns_[vcpu] += (now - wait->since).count();
    wait.reset();
    --waiting_;
    counted = true;
  }
  if (counted && all) total_ns_ += (now - last_begin_).count();
}

std::vector<std::int64_t> Blocktime::vcpu_ms() const {
  std::vector<std::int64_t> out;
  for (std::size_t vcpu = 0; vcpu < thread_ids_.size(); ++vcpu)
    out.push_back(to_ms(Nanoseconds(vcpu_ns_[vcpu].load())));
  return out;
}

}  // namespace godwit::engine
