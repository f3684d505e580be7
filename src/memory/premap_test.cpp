#include "memory/premap.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <thread>

#include <godwit/dirty_bitmap.h>

#include "base/testing/not_tested_here.h"
#include "memory/populated.h"
#include "memory/ram.h"
#include "memory/userfault.h"

namespace godwit::memory {
namespace {

constexpr std::uint64_t huge_page = 2 * 1024 * 1024;

class PremapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // Small pages, so that each is seen.
    ram_ = std::make_unique<GuestRam>(
        *GuestRam::create({.size = 16 * huge_page, .transparent_huge_pages = false}));
    if (!PopulationProbe(ram_->block("ram")).knows()) NOT_TESTED_HERE() << "this kernel has no PAGEMAP_SCAN";
  }
  std::span<std::byte> bytes(std::uint64_t first, std::uint64_t size) const {
    return {ram_->host() + first, size};
  }
  std::uint64_t populated() const { return populated_pages(ram_->block("ram")).count(); }

  std::unique_ptr<GuestRam> ram_;
};

constexpr std::uint64_t pages_per_huge_page = huge_page / page_size;

TEST_F(PremapTest, TouchesWholeHugePagesAndNothingElse) {
  Premapper premapper;
  premapper.expect(bytes(page_size, 4 * huge_page));
  premapper.wait();
  const DirtyBitmap found = populated_pages(ram_->block("ram"));
  EXPECT_EQ(found.count(), 3 * pages_per_huge_page);
  EXPECT_EQ(found.next_run(0, ~std::uint64_t{0}), (PageRange{pages_per_huge_page, 3 * pages_per_huge_page}));
}

TEST_F(PremapTest, ChangesNoByte) {
  std::memset(ram_->host(), 0x5a, 3 * huge_page);
  Premapper premapper;
  premapper.expect(bytes(0, 6 * huge_page));
  premapper.wait();
  for (std::uint64_t at = 0; at < 6 * huge_page; ++at)
    ASSERT_EQ(ram_->host()[at], std::byte{at < 3 * huge_page ? std::uint8_t{0x5a} : std::uint8_t{0}});
}

TEST_F(PremapTest, FollowsTheDataAndJumps) {
  Premapper premapper;
  for (std::uint64_t at = 0; at < 4; ++at) premapper.expect(bytes(at * huge_page, 2 * huge_page));
  premapper.wait();
  premapper.expect(bytes(10 * huge_page, huge_page));
  premapper.wait();
  const DirtyBitmap found = populated_pages(ram_->block("ram"));
  EXPECT_TRUE(found.test(4 * pages_per_huge_page));
  EXPECT_FALSE(found.test(5 * pages_per_huge_page));
  EXPECT_TRUE(found.test(10 * pages_per_huge_page));
  EXPECT_FALSE(found.test(11 * pages_per_huge_page));
}

TEST_F(PremapTest, WhoWritesMayWaitForTheHugePageThatIsBeingTouched) {
  Premapper premapper;
  premapper.settle(bytes(0, huge_page));  // nothing is
  premapper.expect(bytes(0, 16 * huge_page));
  for (std::uint64_t at = 0; at < 16 * huge_page; at += huge_page) {
    premapper.settle(bytes(at, huge_page));
    ram_->host()[at] = std::byte{1};
  }
  premapper.wait();
  EXPECT_EQ(populated(), 16 * pages_per_huge_page);
  for (std::uint64_t at = 0; at < 16 * huge_page; at += huge_page) EXPECT_EQ(ram_->host()[at], std::byte{1});
}

TEST_F(PremapTest, WhoWouldWaitTouchesWhatElseIsWishedFor) {
  auto fault = Userfault::open(0, Userfault::Reach::everywhere);
  if (!fault) NOT_TESTED_HERE() << fault.error().explain();
  // The thread is held in the first huge page.
  RamBlock held = ram_->block("ram");
  held.size = huge_page;
  ASSERT_TRUE(fault->enlist_missing(held).has_value());
  Premapper premapper;
  premapper.expect(bytes(0, 4 * huge_page));
  pollfd entry{fault->fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&entry, 1, 20'000), 1);
  std::atomic<bool> settled = false;
  std::jthread writer([&] {
    premapper.settle(bytes(0, huge_page));
    settled = true;
  });
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (populated() < 3 * pages_per_huge_page && std::chrono::steady_clock::now() < limit)
    std::this_thread::yield();
  EXPECT_EQ(populated(), 3 * pages_per_huge_page);
  EXPECT_FALSE(settled);
  fault->dismiss(held);
  writer.join();
  EXPECT_EQ(populated(), 4 * pages_per_huge_page);
}

TEST_F(PremapTest, TouchesNothingOnceStopped) {
  Premapper premapper;
  premapper.expect(bytes(0, 16 * huge_page));
  premapper.stop();
  const std::uint64_t before = populated();
  premapper.wait();
  EXPECT_EQ(populated(), before);
}

TEST_F(PremapTest, GivesUpWhereThereIsNoMemory) {
  Premapper premapper;
  ASSERT_EQ(::mprotect(ram_->host(), 16 * huge_page, PROT_READ), 0);
  premapper.expect(bytes(0, 16 * huge_page));
  premapper.wait();
  EXPECT_EQ(populated(), 0U);
}

}  // namespace
}  // namespace godwit::memory
