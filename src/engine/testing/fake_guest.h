// A guest without a VMM: heap memory, a tracker that is told about writes, one small device. For tests of the
// engine.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <vector>

#include <godwit/field_table.h>
#include <godwit/guest.h>

#include "base/system.h"
#include "memory/ram.h"

namespace godwit::engine::testing {

/// Finds exactly the pages it is told about. Thread-safe.
class ToldTracker final : public DirtyTracker {
 public:
  std::string_view name() const override { return "told"; }
  Result<> start(std::span<const RamBlock> blocks) override {
    std::lock_guard lock(mutex_);
    written_.clear();
    for (const RamBlock& block : blocks) written_.emplace_back(block.pages());
    running_ = true;
    ++starts_;
    return {};
  }
  Result<std::uint64_t> collect(std::span<DirtyBitmap> bitmaps) override {
    std::lock_guard lock(mutex_);
    if (on_collect) on_collect();
    std::uint64_t fresh = 0;
    for (std::size_t b = 0; b < bitmaps.size(); ++b) {
      auto words = written_[b].words();
      for (std::size_t w = 0; w < words.size(); ++w)
        fresh += bitmaps[b].merge_word(w, std::exchange(words[w], 0));
    }
    return fresh;
  }
  void stop() noexcept override {
    std::lock_guard lock(mutex_);
    running_ = false;
  }
  void wrote(std::size_t block, std::uint64_t page) {
    std::lock_guard lock(mutex_);
    if (running_) written_[block].set(page);
  }
  bool running() const {
    std::lock_guard lock(mutex_);
    return running_;
  }
  std::vector<std::uint64_t> pages_by_vcpu() const override { return by_vcpu; }
  std::vector<std::uint64_t> by_vcpu;  ///< what pages_by_vcpu() says
  int starts() const {
    std::lock_guard lock(mutex_);
    return starts_;
  }

  /// Called at each collection, with the tracker locked: use mark_locked() in it to write "meanwhile".
  std::function<void()> on_collect;
  void mark_locked(std::size_t block, std::uint64_t page) { written_[block].set(page); }

 private:
  mutable std::mutex mutex_;
  std::vector<DirtyBitmap> written_;
  bool running_ = false;
  int starts_ = 0;
};

struct FakeDevice {
  std::uint32_t register_value = 0x1234;
  std::uint8_t mode = 1;
};

inline const FieldTable<FakeDevice>& fake_device_table() {
  static const auto table = FieldTable<FakeDevice>("fake", {.version = 3, .minimum_version = 2})
                                .field("register", &FakeDevice::register_value)
                                .field("mode", &FakeDevice::mode, in_range(0, 7));
  return table;
}

struct BlockSize {
  std::string name;
  std::uint64_t pages;
  bool shared = false;
  std::uint64_t huge_page_size = 0;  ///< bytes; 0: ordinary pages
};

class FakeGuest : public Guest {
 public:
  explicit FakeGuest(std::vector<BlockSize> sizes = {{"ram", 64}}, RunState state = RunState::running)
      : state_(state) {
    for (auto& size : sizes) {
      memory_.push_back(*memory::GuestRam::create({.size = size.pages * page_size,
                                                   .shared = size.shared,
                                                   .huge_page_size = size.huge_page_size,
                                                   .transparent_huge_pages = false}));
      blocks_.push_back(memory_.back().block(size.name));
    }
    sections_.push_back(make_section("fake", 0, fake_device_table(), device));
  }

  std::string machine_name() const override { return machine; }
  std::optional<Uuid> uuid() const override { return own_uuid; }
  std::span<const RamBlock> ram_blocks() const override { return blocks_; }
  DirtyTracker& dirty_tracker() override { return tracker; }
  std::span<const std::unique_ptr<DeviceSection>> device_sections() override { return sections_; }
  RunState run_state() const override {
    std::lock_guard lock(mutex_);
    return state_;
  }
  Result<> set_run_state(RunState state) override {
    std::lock_guard lock(mutex_);
    state_ = state;
    history_.push_back(state);
    if (on_state) on_state(state);
    changed_.notify_all();
    return {};
  }
  bool autostart() const override { return starts_by_itself; }
  std::vector<int> vcpu_thread_ids() const override { return thread_ids; }
  void set_throttle(int percent) override {
    std::lock_guard lock(mutex_);
    throttles_.push_back(percent);
  }
  std::vector<std::string> blockers() const override { return reasons; }

  bool wait_for(RunState state) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(40), [&] { return state_ == state; });
  }
  /// The guest writes: fills a page with a value, and the tracker knows.
  void write(std::size_t block, std::uint64_t page, std::uint8_t value) {
    std::memset(blocks_[block].host + page * page_size, value, page_size);
    tracker.wrote(block, page);
  }
  std::vector<RunState> history() const {
    std::lock_guard lock(mutex_);
    return history_;
  }
  std::vector<int> throttles() const {
    std::lock_guard lock(mutex_);
    return throttles_;
  }
  bool same_memory(const FakeGuest& other) const {
    for (std::size_t b = 0; b < blocks_.size(); ++b)
      if (std::memcmp(blocks_[b].host, other.blocks_[b].host, blocks_[b].size) != 0) return false;
    return true;
  }

  ToldTracker tracker;
  FakeDevice device;
  std::string machine = "fake";
  std::optional<Uuid> own_uuid;
  bool starts_by_itself = true;
  std::vector<std::string> reasons;
  std::vector<int> thread_ids;             ///< of what counts as vCPUs
  std::function<void(RunState)> on_state;  ///< with the guest locked

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  RunState state_;
  std::vector<RunState> history_;
  std::vector<int> throttles_;
  std::vector<memory::GuestRam> memory_;
  std::vector<RamBlock> blocks_;
  std::vector<std::unique_ptr<DeviceSection>> sections_;
};

}  // namespace godwit::engine::testing
