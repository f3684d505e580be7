// What is special about the trackers that use KVM; what all trackers have in common is in
// tracker_property_test.cpp.
#include <gtest/gtest.h>
#include <vector>

#include "base/testing/not_tested_here.h"
#include "memory/kvm_dirty_log_tracker.h"
#include "memory/kvm_dirty_ring_tracker.h"
#include "memory/ram.h"
#include "memory/testing/tiny_guest.h"

namespace godwit::memory {
namespace {

using testing::TinyGuest;

constexpr std::uint64_t mib = 1024 * 1024;

std::vector<std::uint64_t> addresses_of_pages(std::uint64_t first, std::uint64_t count) {
  std::vector<std::uint64_t> addresses;
  for (std::uint64_t page = first; page < first + count; ++page) addresses.push_back(page * page_size);
  return addresses;
}

TEST(KvmDirtyRing, ARingThatFillsUpLosesNothing) {
  constexpr std::uint32_t entries = 1024;
  auto guest = TinyGuest::make(entries);
  if (!guest) NOT_TESTED_HERE() << "no KVM guest with dirty rings";
  const auto ram = GuestRam::create({.size = 16 * mib});
  ASSERT_TRUE(ram);
  const RamBlock block = ram->block("ram");
  ASSERT_TRUE(guest->add_slot(0, block.host, block.size));
  const int vcpu_fd = guest->vcpu_fd();
  auto tracker = KvmDirtyRingTracker::create(guest->vm_fd(), entries, guest->slots(), std::span(&vcpu_fd, 1));
  ASSERT_TRUE(tracker) << tracker.error().what();
  int times_full = 0;
  guest->on_ring_full([&] {
    ++times_full;
    return (*tracker)->reap();
  });
  EXPECT_TRUE((*tracker)->reap()) << "harmless while nothing is tracked";
  ASSERT_TRUE((*tracker)->start(std::span(&block, 1)));
  const auto written = guest->write(addresses_of_pages(100, 3000));
  ASSERT_TRUE(written) << written.error().what();
  EXPECT_GT(times_full, 0);

  std::vector<DirtyBitmap> dirty{DirtyBitmap(block.pages())};
  const auto found = (*tracker)->collect(dirty);
  ASSERT_TRUE(found) << found.error().what();
  EXPECT_EQ(*found, 3000u);
  EXPECT_EQ(dirty[0].next_run(0, ~0ull), (PageRange{100, 3000}));
  EXPECT_EQ((*tracker)->collect(dirty).value(), 0u);
}

TEST(KvmDirtyRing, SizesAreChecked) {
  auto guest = TinyGuest::make();
  if (!guest) NOT_TESTED_HERE() << "no KVM guest";
  const std::uint32_t most = max_dirty_ring_entries(guest->vm_fd());
  if (most == 0) NOT_TESTED_HERE() << "no dirty rings";
  for (const std::uint32_t entries : {0u, 1000u, most * 2}) {
    const auto refused = enable_dirty_rings(guest->vm_fd(), entries);
    ASSERT_FALSE(refused) << entries;
    EXPECT_EQ(refused.error().what(), "a dirty ring has a power of two of entries, at most " +
                                          std::to_string(most) + "; not " + std::to_string(entries));
  }
  EXPECT_FALSE(enable_dirty_rings(guest->vm_fd(), most)) << "too late: there is a vCPU";
}

TEST(KvmDirtyLog, IsNotToBeHadFromAVmWithRings) {
  auto guest = TinyGuest::make(1024);
  if (!guest) NOT_TESTED_HERE() << "no KVM guest with dirty rings";
  const auto ram = GuestRam::create({.size = mib});
  ASSERT_TRUE(ram);
  const RamBlock block = ram->block("ram");
  ASSERT_TRUE(guest->add_slot(0, block.host, block.size));
  auto tracker = KvmDirtyLogTracker::create(guest->vm_fd(), guest->slots());
  ASSERT_TRUE(tracker);
  ASSERT_TRUE((*tracker)->start(std::span(&block, 1)));
  std::vector<DirtyBitmap> dirty{DirtyBitmap(block.pages())};
  const auto found = (*tracker)->collect(dirty);
  ASSERT_FALSE(found);
  EXPECT_TRUE(found.error().what().starts_with("KVM cannot give the dirty log of slot 1: "))
      << found.error().what();
}

TEST(KvmDirtyLog, ClearsAPageOnlyIfItIsDirtyInTheBitmap) {
  auto guest = TinyGuest::make();
  if (!guest) NOT_TESTED_HERE() << "no KVM guest";
  const auto ram = GuestRam::create({.size = 4 * mib});
  ASSERT_TRUE(ram);
  const RamBlock block = ram->block("ram");
  ASSERT_TRUE(guest->add_slot(0, block.host, block.size));
  auto tracker = KvmDirtyLogTracker::create(guest->vm_fd(), guest->slots());
  ASSERT_TRUE(tracker);
  if ((*tracker)->name() != "kvm-dirty-log") NOT_TESTED_HERE() << "KVM has no manual protection";
  ASSERT_TRUE((*tracker)->start(std::span(&block, 1)));
  std::vector<DirtyBitmap> dirty{DirtyBitmap(block.pages())};
  dirty[0].set_all();
  ASSERT_TRUE((*tracker)->rearm(0, {0, block.pages()}, dirty[0]));
  dirty[0].clear_all();

  ASSERT_TRUE(guest->write(addresses_of_pages(10, 1)));
  ASSERT_EQ((*tracker)->collect(dirty).value(), 1u);
  ASSERT_TRUE(
      guest->write(addresses_of_pages(11, 1)));  // after the collect, beside the page that is sent now
  ASSERT_TRUE((*tracker)->rearm(0, {10, 1}, dirty[0]));
  dirty[0].clear_all();
  ASSERT_EQ((*tracker)->collect(dirty).value(), 1u);
  EXPECT_TRUE(dirty[0].test(11));
  EXPECT_FALSE(dirty[0].test(10));
}

TEST(KvmDirtyLog, WithoutAVmNothingStarts) {
  const auto ram = GuestRam::create({.size = mib});
  ASSERT_TRUE(ram);
  const RamBlock block = ram->block("ram");
  auto tracker =
      KvmDirtyLogTracker::create(-1, {{.id = 4, .guest_address = 0, .size = mib, .host = block.host}});
  ASSERT_TRUE(tracker);
  const auto started = (*tracker)->start(std::span(&block, 1));
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().what(),
            "KVM cannot start the dirty log of slot 4 at guest address 0x0: Bad file descriptor");
}

}  // namespace
}  // namespace godwit::memory
