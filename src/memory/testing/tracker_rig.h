// For tests: a dirty tracker, memory it tracks, and somebody who writes to it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include <godwit/dirty_tracker.h>

#include "memory/ram.h"

namespace godwit::memory::testing {

struct PageId {
  std::size_t block = 0;
  std::uint64_t page = 0;
};

/// A write increments one 64-bit word of the page, at a place that depends on the page.
std::uint64_t counter_offset(std::uint64_t page);
std::uint64_t counter_of(const RamBlock& block, std::uint64_t page);
void count_write(const RamBlock& block, std::uint64_t page);

class TrackerRig {
 public:
  virtual ~TrackerRig() = default;

  std::span<const RamBlock> blocks() const { return blocks_; }
  DirtyTracker& tracker() { return *tracker_; }
  /// Pages that the writers can reach.
  std::span<const PageId> pages() const { return pages_; }

  /// Writes once to each of these pages; returns when it is done.
  virtual void write(std::span<const PageId> pages) = 0;
  /// Writes to these pages in turn until stop_writing() has returned.
  virtual void start_writing(std::span<const PageId> pages) = 0;
  virtual void stop_writing() = 0;

 protected:
  std::vector<GuestRam> ram_;
  std::vector<RamBlock> blocks_;
  std::vector<PageId> pages_;
  std::unique_ptr<DirtyTracker> tracker_;
};

/// Either a rig or why there is none here.
struct RigOrReason {
  std::unique_ptr<TrackerRig> rig;
  std::string reason;
};

struct RigCase {
  std::string name;
  std::function<RigOrReason()> make;
  /// A write costs thread switches, which take long on a busy machine: tests make fewer of them.
  bool slow_writes = false;

  friend std::ostream& operator<<(std::ostream& out, const RigCase& rig) { return out << rig.name; }
};

/// Every tracker on every kind of memory.
std::vector<RigCase> all_rigs();

}  // namespace godwit::memory::testing
