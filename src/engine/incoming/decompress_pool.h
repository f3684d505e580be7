// Threads that decompress pages to their places (wire-format section 5).
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include <godwit/ram_block.h>
#include <godwit/result.h>

#include "wire/ram.h"

namespace godwit::engine {

/// The methods are the loading thread's. The same page always goes to the same worker: its versions are
/// placed in the order in which they came.
class DecompressPool {
 public:
  explicit DecompressPool(unsigned threads);
  ~DecompressPool();

  /// Takes a copy of the data, which stands at `stream_offset`, and places the page before finish() returns.
  Result<> add(std::byte* page, std::span<const std::byte> data, std::uint64_t stream_offset);

  /// Waits until `page` is not worked on any more: it is about to be written by somebody else.
  Result<> settle(const std::byte* page);

  /// Waits until all pages are placed. Fails if one could not be.
  Result<> finish();

 private:
  static constexpr std::size_t kPagesPerJob = 8;
  static constexpr std::size_t kJobsPerWorker = 3;  ///< one being filled, one waiting, one being worked on

  struct Job {
    std::size_t count = 0;
    std::array<std::byte*, kPagesPerJob> pages;
    std::array<std::uint32_t, kPagesPerJob> sizes;
    std::array<std::uint64_t, kPagesPerJob> offsets;
    std::array<std::array<std::byte, wire::compressed_page_limit>, kPagesPerJob> data;
  };
  /// A ring of jobs. `given` is the loading thread's, `done` is the worker's; both count jobs.
  struct Worker {
    std::array<Job, kJobsPerWorker> jobs;
    std::uint64_t given = 0;
    std::uint64_t done = 0;
    std::condition_variable_any wake;
    std::jthread thread;
  };

  Worker& worker_of(const std::byte* page) const;
  Result<> give(Worker& worker);
  Result<> wait_for(Worker& worker, std::uint64_t done);
  void work(std::stop_token stop, Worker& worker);
  void give_up(Error error);

  std::mutex mutex_;  ///< guards the counts of jobs, and error_
  std::condition_variable progress_;
  std::optional<Error> error_;
  std::vector<std::unique_ptr<Worker>> workers_;  // last: the threads use the members above
};

}  // namespace godwit::engine
