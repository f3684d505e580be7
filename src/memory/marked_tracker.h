// A tracker and explicit marks, merged into one.
#pragma once

#include <memory>
#include <string>

#include <godwit/dirty_tracker.h>

#include "memory/dirty_marks.h"

namespace godwit::memory {

class MarkedTracker final : public DirtyTracker {
 public:
  /// `tracker` may be null where nobody but markers ever writes (no vCPU runs). `marks` outlives this.
  MarkedTracker(std::unique_ptr<DirtyTracker> tracker, DirtyMarks& marks);
  ~MarkedTracker() override { stop(); }

  std::string_view name() const override { return name_; }
  Result<> start(std::span<const RamBlock> blocks) override;
  Result<std::uint64_t> collect(std::span<DirtyBitmap> bitmaps) override;
  Result<> rearm(std::size_t block, PageRange range, const DirtyBitmap& bitmap) override;
  void stop() noexcept override;
  std::vector<std::uint64_t> pages_by_vcpu() const override {
    return tracker_ ? tracker_->pages_by_vcpu() : std::vector<std::uint64_t>();
  }
  Result<> count_writes(bool on) override { return tracker_ ? tracker_->count_writes(on) : Result<>{}; }

 private:
  std::string name_;
  std::unique_ptr<DirtyTracker> tracker_;
  DirtyMarks& marks_;
};

}  // namespace godwit::memory
