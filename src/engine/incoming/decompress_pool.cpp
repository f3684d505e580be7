#include "engine/incoming/decompress_pool.h"

#include <algorithm>
#include <fmt/format.h>

#include "base/thread.h"
#include "wire/compress.h"

namespace godwit::engine {

DecompressPool::DecompressPool(unsigned threads) {
  for (unsigned i = 0; i < threads; ++i) {
    Worker& worker = *workers_.emplace_back(std::make_unique<Worker>());
    worker.thread = start_thread(
        fmt::format("decompress-{}", i),
        [this, &worker](std::stop_token stop) { work(std::move(stop), worker); },
        [this](Error error) { give_up(std::move(error)); });
  }
}

DecompressPool::~DecompressPool() {
  for (const auto& worker : workers_) worker->thread.request_stop();
}

/// Neighbours go together.
DecompressPool::Worker& DecompressPool::worker_of(const std::byte* page) const {
  const auto number = reinterpret_cast<std::uintptr_t>(page) / page_size / kPagesPerJob;
  return *workers_[number % workers_.size()];
}

Result<> DecompressPool::add(std::byte* page, std::span<const std::byte> data, std::uint64_t stream_offset) {
  Worker& worker = worker_of(page);
  Job& job = worker.jobs[worker.given % kJobsPerWorker];
  job.pages[job.count] = page;
  job.sizes[job.count] = static_cast<std::uint32_t>(data.size());
  job.offsets[job.count] = stream_offset;
  std::ranges::copy(data, job.data[job.count].begin());
  return ++job.count == kPagesPerJob ? give(worker) : Result<>{};
}

/// Hands the job that is being filled over, and waits until the next one of the ring is free.
Result<> DecompressPool::give(Worker& worker) {
  {
    std::lock_guard lock(mutex_);
    ++worker.given;
  }
  worker.wake.notify_one();
  if (worker.given >= kJobsPerWorker) GODWIT_TRY(wait_for(worker, worker.given - kJobsPerWorker + 1));
  worker.jobs[worker.given % kJobsPerWorker].count = 0;
  return {};
}

Result<> DecompressPool::wait_for(Worker& worker, std::uint64_t done) {
  std::unique_lock lock(mutex_);
  progress_.wait(lock, [&] { return worker.done >= done || error_; });
  if (error_) return fail(*error_);
  return {};
}

Result<> DecompressPool::settle(const std::byte* page) {
  Worker& worker = worker_of(page);
  // Also the jobs that are done are looked at: a needless wait is over at once.
  const bool known = std::ranges::any_of(worker.jobs, [page](const Job& job) {
    const auto pages = std::span(job.pages).first(job.count);
    return std::ranges::find(pages, page) != pages.end();
  });
  if (!known) return {};
  if (worker.jobs[worker.given % kJobsPerWorker].count > 0) GODWIT_TRY(give(worker));
  return wait_for(worker, worker.given);
}

Result<> DecompressPool::finish() {
  for (const auto& worker : workers_)
    if (worker->jobs[worker->given % kJobsPerWorker].count > 0) GODWIT_TRY(give(*worker));
  for (const auto& worker : workers_) GODWIT_TRY(wait_for(*worker, worker->given));
  return {};
}

void DecompressPool::give_up(Error error) {
  std::lock_guard lock(mutex_);
  if (!error_) error_ = std::move(error).in("decompressing pages");
  progress_.notify_one();
}

void DecompressPool::work(std::stop_token stop, Worker& worker) {
  wire::PageDecompressor decompressor;
  std::unique_lock lock(mutex_);
  while (worker.wake.wait(lock, stop, [&] { return worker.done < worker.given; })) {
    Job& job = worker.jobs[worker.done % kJobsPerWorker];
    lock.unlock();
    std::optional<Error> error;
    for (std::size_t i = 0; i < job.count && !error; ++i) {
      const std::span<std::byte, page_size> page(job.pages[i], page_size);
      auto placed = decompressor.decompress(std::span(job.data[i]).first(job.sizes[i]), page, job.offsets[i]);
      if (!placed) error = std::move(placed).error();
    }
    lock.lock();
    if (error && !error_) error_ = std::move(error);
    ++worker.done;
    progress_.notify_one();
  }
}

}  // namespace godwit::engine
