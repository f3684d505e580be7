// How long vCPUs waited for pages in postcopy (control-plane section 10.7).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"

namespace godwit::engine {

/// begin() and end() belong to one thread; the figures may be read by any.
class Blocktime {
 public:
  /// One thread id per vCPU, in the order of their numbers.
  explicit Blocktime(std::vector<int> vcpu_thread_ids);

  /// A thread begins to wait for a page. Threads that are no vCPUs do not count.
  void begin(int thread_id, std::size_t block, std::uint64_t offset, Nanoseconds now);
  /// The page is there.
  void end(std::size_t block, std::uint64_t offset, Nanoseconds now);

  /// During which all vCPUs waited at the same time.
  std::int64_t total_ms() const { return to_ms(Nanoseconds(total_ns_.load())); }
  std::vector<std::int64_t> vcpu_ms() const;

 private:
  struct Wait {
    std::size_t block;
    std::uint64_t offset;
    Nanoseconds since;
  };

  const std::vector<int> thread_ids_;
  std::vector<std::optional<Wait>> waits_;
  std::size_t waiting_ = 0;
  Nanoseconds last_begin_{0};
  std::atomic<std::int64_t> total_ns_{0};
  std::unique_ptr<std::atomic<std::int64_t>[]> vcpu_ns_;
};

}  // namespace godwit::engine
