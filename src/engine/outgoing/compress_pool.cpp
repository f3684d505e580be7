#include "engine/outgoing/compress_pool.h"

#include <algorithm>
#include <fmt/format.h>

#include "base/thread.h"
#include "wire/compress.h"

namespace godwit::engine {
namespace {

/// The page is copied first: the guest may write to it, and the checksum must be that of what was compressed.
void compress_all(CompressJob& job, wire::PageCompressor& compressor,
                  std::span<std::byte, page_size> steady) {
  job.error.reset();
  for (std::size_t i = 0; i < job.count; ++i) {
    std::copy_n(job.block->host + job.pages[i] * page_size, page_size, steady.data());
    const auto size = compressor.compress(steady, job.data[i]);
    if (!size) {
      job.error = size.error();
      return;
    }
    job.sizes[i] = *size < page_size ? *size : 0;
  }
}

}  // namespace

CompressPool::CompressPool(unsigned threads, int level) {
  // Two for each worker: the next one is there when it is done.
  for (unsigned i = 0; i < 2 * threads; ++i) {
    jobs_.push_back(std::make_unique_for_overwrite<CompressJob>());
    free_.push_back(jobs_.back().get());
  }
  for (unsigned i = 0; i < threads; ++i)
    threads_.push_back(start_thread(
        fmt::format("compress-{}", i), [this, level](std::stop_token stop) { work(std::move(stop), level); },
        [this](Error error) { give_up(std::move(error)); }));
}

CompressPool::~CompressPool() {
  for (std::jthread& thread : threads_) thread.request_stop();
}

CompressJob* CompressPool::take_free() {
  if (free_.empty()) return nullptr;
  CompressJob* job = free_.back();
  free_.pop_back();
  job->count = 0;
  job->done = false;
  return job;
}

void CompressPool::start(CompressJob& job) {
  {
    std::lock_guard lock(mutex_);
    waiting_.push_back(&job);
  }
  started_.notify_one();
}

bool CompressPool::is_done(const CompressJob& job) const {
  std::lock_guard lock(mutex_);
  return job.done;
}

Result<> CompressPool::wait_for(const CompressJob& job) const {
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [&] { return job.done || error_; });
  if (!job.done) return fail(*error_);
  return {};
}

void CompressPool::give_up(Error error) {
  std::lock_guard lock(mutex_);
  error_ = std::move(error).in("compressing pages");
  finished_.notify_one();
}

void CompressPool::work(std::stop_token stop, int level) {
  wire::PageCompressor compressor(level);
  alignas(64) std::array<std::byte, page_size> steady;
  std::unique_lock lock(mutex_);
  while (started_.wait(lock, stop, [this] { return !waiting_.empty(); })) {
    CompressJob* job = waiting_.front();
    waiting_.pop_front();
    lock.unlock();
    compress_all(*job, compressor, steady);
    lock.lock();
    job->done = true;
    finished_.notify_one();
  }
}

}  // namespace godwit::engine
