// Threads that compress pages.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <godwit/ram_block.h>
#include <godwit/result.h>

#include "wire/ram.h"

namespace godwit::engine {

/// A few pages of one block. Whoever holds the pointer owns it: the lane, then a worker, then the lane.
struct CompressJob {
  static constexpr std::size_t capacity =
      8;  ///< handing over costs little, and a slice has thousands of pages

  const RamBlock* block = nullptr;
  std::size_t count = 0;
  std::array<std::uint64_t, capacity> pages;
  std::array<std::size_t, capacity> sizes;  ///< bytes; 0: the page does not shrink and goes as it is
  std::array<std::array<std::byte, wire::compressed_page_limit>, capacity> data;
  std::optional<Error> error;
  bool done = false;  ///< guarded by the pool's lock
};

/// The methods are for one thread, which hands over and takes back; the workers are the pool's own.
class CompressPool {
 public:
  CompressPool(unsigned threads, int level);
  /// Drops what is not done.
  ~CompressPool();

  /// A job to fill; null: all are with the workers, or wait to be taken back.
  CompressJob* take_free();
  void start(CompressJob& job);
  bool is_done(const CompressJob& job) const;
  /// Fails if a worker has ended before its time.
  Result<> wait_for(const CompressJob& job) const;
  void give_back(CompressJob& job) { free_.push_back(&job); }

 private:
  void work(std::stop_token stop, int level);
  void give_up(Error error);

  std::vector<std::unique_ptr<CompressJob>> jobs_;
  std::vector<CompressJob*> free_;  ///< the handing thread's
  mutable std::mutex mutex_;
  mutable std::condition_variable finished_;
  std::condition_variable_any started_;
  std::deque<CompressJob*> waiting_;
  std::optional<Error> error_;
  std::vector<std::jthread> threads_;  // last: they use the members above
};

}  // namespace godwit::engine
