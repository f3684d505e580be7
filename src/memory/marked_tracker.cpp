#include "memory/marked_tracker.h"

namespace godwit::memory {

MarkedTracker::MarkedTracker(std::unique_ptr<DirtyTracker> tracker, DirtyMarks& marks)
    : name_(tracker ? std::string(tracker->name()) + "+marks" : "marks"),
      tracker_(std::move(tracker)),
      marks_(marks) {}

Result<> MarkedTracker::start(std::span<const RamBlock> blocks) {
  marks_.enable();
  if (!tracker_) return {};
  auto started = tracker_->start(blocks);
  if (!started) marks_.disable();
  return started;
}

Result<std::uint64_t> MarkedTracker::collect(std::span<DirtyBitmap> bitmaps) {
  std::uint64_t fresh = 0;
  if (tracker_) {
    GODWIT_ASSIGN(fresh, tracker_->collect(bitmaps));
  }
  return fresh + marks_.collect(bitmaps);
}

Result<> MarkedTracker::rearm(std::size_t block, PageRange range, const DirtyBitmap& bitmap) {
  if (!tracker_) return {};
  return tracker_->rearm(block, range, bitmap);
}

void MarkedTracker::stop() noexcept {
  marks_.disable();
  if (tracker_) tracker_->stop();
}

}  // namespace godwit::memory
