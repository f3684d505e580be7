#include "engine/outgoing/compress_lane.h"

#include "memory/zero_scan.h"

namespace godwit::engine {

CompressLane::CompressLane(PageBatch& batch, const Settings& settings, Statistics& statistics)
    : batch_(batch),
      settings_(settings),
      finds_zeros_(settings.parameters().zero_page_detection != ZeroPageDetection::none),
      ram_(statistics.ram),
      counters_(statistics.compression),
      pool_(settings.parameters().compress_threads, settings.parameters().compress_level) {}

Result<> CompressLane::send(StreamWriter& out, const PageRun& run) {
  batch_.begin(run.block);
  // Compressed records never name their block. The first page of a block goes plain, with the name, and the
  // pages of the block before have left by then.
  if (batch_.names_block()) {
    GODWIT_TRY(finish_section(out));
    batch_.begin(run.block);
  }
  for (std::uint64_t page = run.range.first; page < run.range.first + run.range.count; ++page) {
    if (finds_zeros_ && (run.untouched(page) || memory::is_zero_page(run.block.host + page * page_size)))
      batch_.add_zero(page);
    else if (batch_.names_block())
      batch_.add_normal(page);
    else
      GODWIT_TRY(add(out, run.block, page));
  }
  GODWIT_TRY(write_batch(out));
  return write_finished(out, 0);
}

Result<> CompressLane::add(StreamWriter& out, const RamBlock& block, std::uint64_t page) {
  if (!open_) open_ = pool_.take_free();
  if (!open_ && !settings_.compress_wait_thread()) {
    ++counters_.busy;
    batch_.add_normal(page);
    return {};
  }
  if (!open_) {
    // The zeros so far leave now: the batch is needed for what has become ready.
    GODWIT_TRY(write_batch(out));
    GODWIT_TRY(write_finished(out, 1));
    batch_.begin(block);
    open_ = pool_.take_free();
  }
  open_->block = &block;
  open_->pages[open_->count++] = page;
  if (open_->count == CompressJob::capacity) hand_over();
  return {};
}

void CompressLane::hand_over() {
  ordered_.push_back(open_);
  pool_.start(*open_);
  open_ = nullptr;
}

/// Writes the jobs that are done, oldest first, and waits for the first `at_least`.
Result<> CompressLane::write_finished(StreamWriter& out, std::size_t at_least) {
  while (!ordered_.empty() && (at_least > 0 || pool_.is_done(*ordered_.front()))) {
    batch_.begin(*ordered_.front()->block);
    std::size_t in_batch = 0;
    for (CompressJob* job : ordered_) {
      if (batch_.pages() + job->count > PageBatch::capacity) break;
      if (in_batch < at_least)
        GODWIT_TRY(pool_.wait_for(*job));
      else if (!pool_.is_done(*job))
        break;
      if (job->error) return fail(*job->error);
      add_to_batch(*job);
      ++in_batch;
    }
    GODWIT_TRY(write_batch(out));
    for (std::size_t i = 0; i < in_batch; ++i) {
      pool_.give_back(*ordered_.front());
      ordered_.pop_front();
    }
    at_least -= std::min(at_least, in_batch);
  }
  return {};
}

void CompressLane::add_to_batch(const CompressJob& job) {
  for (std::size_t i = 0; i < job.count; ++i) {
    if (job.sizes[i] == 0) {
      batch_.add_normal(job.pages[i]);
      continue;
    }
    batch_.add_encoded(job.pages[i], wire::PageKind::compressed, std::span(job.data[i]).first(job.sizes[i]));
    ++counters_.pages;
    counters_.bytes += 4 + job.sizes[i];
  }
}

Result<> CompressLane::write_batch(StreamWriter& out) {
  if (batch_.pages() == 0) return {};
  GODWIT_TRY(batch_.write(out));
  ram_.zero_pages += batch_.zero_pages();
  ram_.normal_pages += batch_.normal_pages();
  ram_.encoded_pages += batch_.encoded_pages();
  return {};
}

Result<> CompressLane::finish_section(StreamWriter& out) {
  if (open_) hand_over();
  return write_finished(out, ordered_.size());
}

}  // namespace godwit::engine
