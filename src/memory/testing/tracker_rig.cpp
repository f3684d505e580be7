#include "memory/testing/tracker_rig.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/thread.h"
#include "memory/dirty_marks.h"
#include "memory/kvm_dirty_log_tracker.h"
#include "memory/kvm_dirty_ring_tracker.h"
#include "memory/marked_tracker.h"
#include "memory/testing/tiny_guest.h"
#include "memory/uffd_async_tracker.h"
#include "memory/uffd_sync_tracker.h"

namespace godwit::memory::testing {
namespace {

constexpr std::uint64_t mib = 1024 * 1024;
constexpr std::size_t writer_threads = 3;

std::atomic_ref<std::uint64_t> counter(const RamBlock& block, std::uint64_t page) {
  return std::atomic_ref(
      *reinterpret_cast<std::uint64_t*>(block.host + page * page_size + counter_offset(page)));
}

/// For the impossible in the middle of a test: a writer that cannot write proves nothing.
void must(const Result<>& result) {
  if (result) return;
  std::fprintf(stderr, "%s\n", result.error().what().c_str());
  std::abort();
}

/// Threads of this process write.
class ThreadRig : public TrackerRig {
 public:
  ThreadRig(std::vector<GuestRam> ram, std::unique_ptr<DirtyTracker> tracker) {
    ram_ = std::move(ram);
    tracker_ = std::move(tracker);
    for (std::size_t index = 0; index < ram_.size(); ++index) {
      blocks_.push_back(ram_[index].block("block" + std::to_string(index)));
      for (std::uint64_t page = 0; page < blocks_.back().pages(); ++page) pages_.push_back({index, page});
    }
  }

  void write(std::span<const PageId> pages) override {
    if (pages.size() < 100) {  // not worth threads
      for (const PageId& page : pages) write_one(page);
      return;
    }
    std::vector<std::jthread> threads;
    for (std::size_t n = 0; n < writer_threads; ++n)
      threads.push_back(start_thread("writer", [this, pages, n](const std::stop_token&) {
        for (std::size_t index = n; index < pages.size(); index += writer_threads) write_one(pages[index]);
      }));
  }

  void start_writing(std::span<const PageId> pages) override {
    for (std::size_t n = 0; n < writer_threads; ++n)
      endless_.push_back(start_thread(
          "writer", [this, copy = std::vector(pages.begin(), pages.end()), n](const std::stop_token& stop) {
            for (std::size_t index = n; !stop.stop_requested(); index += writer_threads)
              write_one(copy[index % copy.size()]);
          }));
  }
  void stop_writing() override { endless_.clear(); }

 protected:
  virtual void write_one(PageId page) { count_write(blocks_[page.block], page.page); }

 private:
  std::vector<std::jthread> endless_;
};

/// Threads write and mark what they wrote.
class MarkingRig final : public ThreadRig {
 public:
  explicit MarkingRig(std::vector<GuestRam> ram) : ThreadRig(std::move(ram), nullptr), marks_(blocks_) {
    tracker_ = std::make_unique<MarkedTracker>(nullptr, marks_);
  }
  ~MarkingRig() override { tracker_.reset(); }

 private:
  void write_one(PageId page) override {
    count_write(blocks_[page.block], page.page);
    marks_.mark(page.block, {page.page, 1});
  }

  DirtyMarks marks_;
};

/// A KVM guest writes, and optionally this process beside it, with marks.
class GuestRig final : public TrackerRig {
 public:
  using TrackerFactory = std::function<std::unique_ptr<DirtyTracker>(TinyGuest&)>;

  GuestRig(std::unique_ptr<TinyGuest> guest, std::vector<GuestRam> ram, bool with_host_writes)
      : guest_(std::move(guest)), with_host_writes_(with_host_writes) {
    ram_ = std::move(ram);
    assert(ram_.size() == 2);
    blocks_ = {ram_[0].block("main"), ram_[1].block("other")};
    // As a PC has it: a hole in the middle of one block. And a slot that begins where no word of the block
    // does.
    cover(0, 0, 160, 0);
    cover(0, 256, blocks_[0].pages() - 256, mib);
    cover(1, 3, blocks_[1].pages() - 5, 0x4000'0000);
    marks_ = std::make_unique<DirtyMarks>(blocks_);
  }
  ~GuestRig() override {
    guest_->on_ring_full({});
    tracker_.reset();
  }

  TinyGuest& guest() { return *guest_; }
  void use(std::unique_ptr<DirtyTracker> tracker) {
    tracker_ =
        with_host_writes_ ? std::make_unique<MarkedTracker>(std::move(tracker), *marks_) : std::move(tracker);
  }

  void write(std::span<const PageId> pages) override {
    std::vector<std::uint64_t> addresses;
    for (const PageId& page : pages) {
      if (by_host(page)) {
        count_write(blocks_[page.block], page.page);
        marks_->mark(page.block, {page.page, 1});
        continue;
      }
      addresses.push_back(address_of(page));
      if (addresses.size() < TinyGuest::max_writes) continue;
      must(guest_->write(addresses));
      addresses.clear();
    }
    must(guest_->write(addresses));
  }

  void start_writing(std::span<const PageId> pages) override {
    std::vector<std::uint64_t> addresses;
    for (const PageId& page : pages)
      if (addresses.size() < TinyGuest::max_writes) addresses.push_back(address_of(page));
    guest_->prepare_endless(addresses);
    vcpu_ = start_thread("vcpu", [this](const std::stop_token&) { must(guest_->run()); });
  }
  void stop_writing() override {
    guest_->request_stop();
    vcpu_.join();
  }

 private:
  struct Cover {
    std::size_t block;
    std::uint64_t first_page;
    std::uint64_t pages;
    std::uint64_t guest_address;
  };

  void cover(std::size_t block, std::uint64_t first_page, std::uint64_t pages, std::uint64_t guest_address) {
    covers_.push_back({block, first_page, pages, guest_address});
    must(guest_->add_slot(guest_address, blocks_[block].host + first_page * page_size, pages * page_size));
    for (std::uint64_t page = first_page; page < first_page + pages; ++page) pages_.push_back({block, page});
  }

  std::uint64_t address_of(PageId page) const {
    for (const Cover& cover : covers_)
      if (cover.block == page.block && page.page >= cover.first_page &&
          page.page < cover.first_page + cover.pages)
        return cover.guest_address + (page.page - cover.first_page) * page_size + counter_offset(page.page);
    std::abort();
  }
  bool by_host(PageId page) const { return with_host_writes_ && page.page % 3 == 0; }

  std::unique_ptr<TinyGuest> guest_;
  const bool with_host_writes_;
  std::vector<Cover> covers_;
  std::unique_ptr<DirtyMarks> marks_;
  std::jthread vcpu_;
};

RigOrReason no_rig(const Error& error) {
  return {nullptr, error.explain()};
}

/// Two blocks, the second with an odd number of pages where the kind of memory permits.
Result<std::vector<GuestRam>> two_blocks(RamOptions options) {
  std::vector<GuestRam> ram;
  for (const std::uint64_t size :
       {6 * mib, options.huge_page_size != 0 ? 2 * mib : 2 * mib + 3 * page_size}) {
    options.size = size;
    GODWIT_ASSIGN(GuestRam one, GuestRam::create(options));
    ram.push_back(std::move(one));
  }
  return ram;
}

template <typename MakeTracker>
RigOrReason thread_rig(const RamOptions& options, MakeTracker make_tracker) {
  auto ram = two_blocks(options);
  if (!ram) return no_rig(ram.error());
  auto tracker = make_tracker();
  if (!tracker) return no_rig(tracker.error());
  auto rig = std::make_unique<ThreadRig>(*std::move(ram), *std::move(tracker));
  // Some kinds of memory are not for every tracker: find out now.
  if (auto started = rig->tracker().start(rig->blocks()); !started) return no_rig(started.error());
  rig->tracker().stop();
  return {std::move(rig), {}};
}

template <typename MakeTracker>
RigOrReason guest_rig(std::uint32_t ring_entries, bool with_host_writes, MakeTracker make_tracker) {
  auto guest = TinyGuest::make(ring_entries);
  if (!guest) return {nullptr, "no KVM guest can be made"};
  auto ram = two_blocks({});
  if (!ram) return no_rig(ram.error());
  auto rig = std::make_unique<GuestRig>(std::move(guest), *std::move(ram), with_host_writes);
  auto tracker = make_tracker(rig->guest());
  if (!tracker) return no_rig(tracker.error());
  rig->use(*std::move(tracker));
  return {std::move(rig), {}};
}

Result<std::unique_ptr<DirtyTracker>> dirty_log(TinyGuest& guest, bool manual, std::uint64_t chunk_pages) {
  return KvmDirtyLogTracker::create(guest.vm_fd(), guest.slots(),
                                    {.chunk_pages = chunk_pages, .manual = manual});
}

Result<std::unique_ptr<DirtyTracker>> dirty_ring(TinyGuest& guest, std::uint32_t entries) {
  const int vcpu_fd = guest.vcpu_fd();
  GODWIT_ASSIGN(auto tracker,
                KvmDirtyRingTracker::create(guest.vm_fd(), entries, guest.slots(), std::span(&vcpu_fd, 1)));
  guest.on_ring_full([ring = tracker.get()] { return ring->reap(); });
  return tracker;
}

}  // namespace

std::uint64_t counter_offset(std::uint64_t page) {
  return page * 72 % page_size / 8 * 8;
}

std::uint64_t counter_of(const RamBlock& block, std::uint64_t page) {
  return counter(block, page).load(std::memory_order_relaxed);
}

void count_write(const RamBlock& block, std::uint64_t page) {
  counter(block, page).fetch_add(1, std::memory_order_relaxed);
}

std::vector<RigCase> all_rigs() {
  const std::string temporary = std::filesystem::temp_directory_path();
  const std::vector<std::pair<std::string, RamOptions>> kinds{
      {"Anonymous", {.transparent_huge_pages = false}},
      {"AnonymousHuge", {.prealloc = true}},
      {"AnonymousSharedMemory", {.shared = true}},
      {"MemfdShared", {.source = RamSource::memfd, .shared = true}},
      {"MemfdPrivate", {.source = RamSource::memfd}},
      {"TmpfsFile", {.source = RamSource::file, .shared = true, .path = "/dev/shm"}},
      {"DiskFile", {.source = RamSource::file, .shared = true, .path = temporary}},
      {"DiskFilePrivate", {.source = RamSource::file, .path = temporary}},
      {"HugePool", {.source = RamSource::memfd, .shared = true, .huge_page_size = 2 * mib}},
  };
  std::vector<RigCase> cases;
  for (const auto& [kind, options] : kinds) {
    cases.push_back(
        {"UffdAsync" + kind, [options] { return thread_rig(options, UffdAsyncTracker::create); }});
    // On a disk's file system there is no synchronous protection.
    if (!kind.starts_with("Disk"))
      cases.push_back({"UffdSync" + kind,
                       [options] { return thread_rig(options, [] { return UffdSyncTracker::create(); }); }});
  }
  cases.push_back({"UffdSyncPopulating", [] {
                     return thread_rig({.transparent_huge_pages = false}, [] {
                       return UffdSyncTracker::create(UffdSyncTracker::Untouched::populate);
                     });
                   }});
  cases.push_back(
      {"Marks", [] { return RigOrReason{std::make_unique<MarkingRig>(two_blocks({}).value()), {}}; }});
  cases.push_back(
      {"KvmDirtyLog",
       [] { return guest_rig(0, false, [](TinyGuest& guest) { return dirty_log(guest, true, 4096); }); }});
  cases.push_back({"KvmDirtyLogSmallChunks", [] {
                     return guest_rig(0, false, [](TinyGuest& guest) { return dirty_log(guest, true, 64); });
                   }});
  cases.push_back({"KvmDirtyLogPlain", [] {
                     return guest_rig(0, false, [](TinyGuest& guest) { return dirty_log(guest, false, 64); });
                   }});
  cases.push_back({"KvmDirtyLogAndMarks", [] {
                     return guest_rig(0, true, [](TinyGuest& guest) { return dirty_log(guest, true, 64); });
                   }});
  cases.push_back(
      {"KvmDirtyRing",
       [] { return guest_rig(65536, false, [](TinyGuest& guest) { return dirty_ring(guest, 65536); }); }});
  cases.push_back({"KvmUffdAsync", [] {
                     return guest_rig(0, false, [](TinyGuest&) { return UffdAsyncTracker::create(); });
                   }});
  cases.push_back({"KvmUffdSync",
                   [] { return guest_rig(0, false, [](TinyGuest&) { return UffdSyncTracker::create(); }); }});
  for (RigCase& rig : cases) rig.slow_writes = rig.name.find("UffdSync") != std::string::npos;
  return cases;
}

}  // namespace godwit::memory::testing
