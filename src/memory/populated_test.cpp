#include "memory/populated.h"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <set>
#include <sys/mman.h>
#include <unistd.h>

#include "base/testing/not_tested_here.h"
#include "memory/ram.h"
#include "memory/uffd_async_tracker.h"
#include "memory/uffd_sync_tracker.h"
#include "memory/zero_scan.h"

namespace godwit::memory {
namespace {

constexpr std::uint64_t mib = 1024 * 1024;
constexpr std::uint64_t pages = 8 * mib / page_size;

void write_to(const RamBlock& block, std::uint64_t page) {
  block.host[page * page_size + 100] = std::byte{1};
}

void read_from(const RamBlock& block, std::uint64_t page) {
  static_cast<void>(*reinterpret_cast<const volatile unsigned char*>(block.host + page * page_size));
}

std::set<std::uint64_t> all_populated(const RamBlock& block) {
  const DirtyBitmap populated = populated_pages(block);
  std::set<std::uint64_t> found;
  for (std::uint64_t page = 0; page < block.pages(); ++page)
    if (populated.test(page)) found.insert(page);
  return found;
}

std::uint64_t resident_pages() {
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident;
}

/// Who reads memory that was never touched is shown the page of zeros that all share, and gets none. Found
/// out without any of what is tested here.
bool kernel_shares_the_page_of_zeros() {
  const std::size_t size = 8 * mib;
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  ::madvise(memory, size, MADV_NOHUGEPAGE);
  const std::uint64_t before = resident_pages();
  for (std::size_t at = 0; at < size; at += page_size)
    static_cast<void>(static_cast<const volatile unsigned char*>(memory)[at]);
  const std::uint64_t more = resident_pages() - before;
  ::munmap(memory, size);
  return more < size / page_size / 2;
}

using Pages = std::set<std::uint64_t>;

bool page_tables_can_be_asked() {
  return Pagemap::open().has_value();
}

#define SKIP_WITHOUT_PAGEMAP_SCAN() \
  if (!page_tables_can_be_asked()) NOT_TESTED_HERE() << "no PAGEMAP_SCAN, everything counts as populated"

TEST(Populated, AnonymousMemoryIsWhatWasWritten) {
  SKIP_WITHOUT_PAGEMAP_SCAN();
  const auto ram = GuestRam::create({.size = 8 * mib, .transparent_huge_pages = false});
  ASSERT_TRUE(ram);
  const RamBlock block = ram->block("ram");
  EXPECT_TRUE(PopulationProbe(block).knows());
  EXPECT_EQ(all_populated(block), Pages{});
  for (const std::uint64_t page : {0u, 3u, 511u, 512u, 2047u}) write_to(block, page);
  EXPECT_EQ(all_populated(block), (Pages{0, 3, 511, 512, 2047}));
}

TEST(Populated, ReadingAnonymousMemoryPopulatesNothing) {
  SKIP_WITHOUT_PAGEMAP_SCAN();
  if (!kernel_shares_the_page_of_zeros())
    NOT_TESTED_HERE() << "this kernel gives who reads a page of their own, not that of zeros";
  for (const bool huge : {false, true}) {
    const auto ram = GuestRam::create({.size = 8 * mib, .transparent_huge_pages = huge});
    ASSERT_TRUE(ram);
    const RamBlock block = ram->block("ram");
    for (std::uint64_t page = 0; page < pages; ++page) read_from(block, page);
    const auto found = all_populated(block);
    if (huge && !found.empty())
      NOT_TESTED_HERE() << "this kernel does not tell the huge page of zeros from data";
    EXPECT_EQ(found, Pages{}) << "huge pages: " << huge;
  }
}

TEST(Populated, AHugePageIsPopulatedWhole) {
  SKIP_WITHOUT_PAGEMAP_SCAN();
  const auto ram = GuestRam::create({.size = 8 * mib});
  ASSERT_TRUE(ram);
  const RamBlock block = ram->block("ram");
  write_to(block, 700);
  const auto found = all_populated(block);
  EXPECT_TRUE(found.contains(700));
  if (found.size() == 1) NOT_TESTED_HERE() << "no transparent huge page was given";
  EXPECT_EQ(found.size(), 512u);
  EXPECT_EQ(*found.begin(), 512u);
}

TEST(Populated, MemoryGivenBackIsEmptyAgain) {
  SKIP_WITHOUT_PAGEMAP_SCAN();
  const auto ram = GuestRam::create({.size = 8 * mib, .prealloc = true, .transparent_huge_pages = false});
  ASSERT_TRUE(ram);
  const RamBlock block = ram->block("ram");
  EXPECT_EQ(all_populated(block).size(), pages);
  ASSERT_EQ(::madvise(block.host + 10 * page_size, (pages - 11) * page_size, MADV_DONTNEED), 0);
  EXPECT_EQ(all_populated(block), (Pages{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, pages - 1}));
}

TEST(Populated, SharedMemoryIsWhatTheFileHolds) {
  for (const RamSource source : {RamSource::memfd, RamSource::anonymous}) {
    const auto ram = GuestRam::create(
        {.source = source, .size = 8 * mib, .shared = true, .transparent_huge_pages = false});
    ASSERT_TRUE(ram);
    const RamBlock block = ram->block("ram");
    EXPECT_TRUE(PopulationProbe(block).knows());
    EXPECT_EQ(all_populated(block), Pages{});
    write_to(block, 5);
    // Somebody else's write, which our page tables know nothing of.
    ASSERT_EQ(::pwrite(ram->fd(), "x", 1, 1000 * page_size), 1);
    ASSERT_EQ(::pwrite(ram->fd(), "x", 1, 1001 * page_size + 4095), 1);
    EXPECT_EQ(all_populated(block), (Pages{5, 1000, 1001}));
    ASSERT_EQ(::fallocate(ram->fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000 * page_size, page_size),
              0);
    EXPECT_EQ(all_populated(block), (Pages{5, 1001}));
  }
}

TEST(Populated, SharedMemoryWithoutItsDescriptorIsAllPopulated) {
  const auto ram = GuestRam::create({.source = RamSource::memfd, .size = 8 * mib, .shared = true});
  ASSERT_TRUE(ram);
  RamBlock block = ram->block("ram");
  block.fd = -1;
  EXPECT_FALSE(PopulationProbe(block).knows());
  EXPECT_EQ(all_populated(block).size(), pages);
}

TEST(Populated, ADescriptorOfAnotherFileIsNotBelieved) {
  const auto ram = GuestRam::create({.source = RamSource::memfd, .size = 8 * mib, .shared = true});
  const auto other = GuestRam::create({.source = RamSource::memfd, .size = 8 * mib, .shared = true});
  ASSERT_TRUE(ram);
  ASSERT_TRUE(other);
  RamBlock block = ram->block("ram");
  block.fd = other->fd();
  EXPECT_EQ(all_populated(block).size(), pages);
  // Nor the right file at another place.
  RamBlock tail = ram->block("ram");
  tail.host += mib;
  tail.size -= mib;
  EXPECT_FALSE(PopulationProbe(tail).knows());
}

TEST(Populated, APrivateMappingOfAFileHoldsTheFilesDataToo) {
  SKIP_WITHOUT_PAGEMAP_SCAN();
  const auto ram =
      GuestRam::create({.source = RamSource::memfd, .size = 8 * mib, .transparent_huge_pages = false});
  ASSERT_TRUE(ram);
  const RamBlock block = ram->block("ram");
  ASSERT_EQ(::pwrite(ram->fd(), "x", 1, 7 * page_size), 1);
  EXPECT_EQ(all_populated(block), (Pages{7})) << "in the file, in no page table";
  write_to(block, 9);
  EXPECT_EQ(all_populated(block), (Pages{7, 9})) << "in the page table, not in the file";
  RamBlock without_fd = block;
  without_fd.fd = -1;
  EXPECT_EQ(all_populated(without_fd).size(), pages) << "not taken for anonymous memory";
}

TEST(Populated, FilesOnADiskFileSystem) {
  const auto ram = GuestRam::create({.source = RamSource::file,
                                     .size = 8 * mib,
                                     .shared = true,
                                     .path = std::filesystem::temp_directory_path()});
  ASSERT_TRUE(ram) << ram.error().what();
  const RamBlock block = ram->block("ram");
  if (!PopulationProbe(block).knows()) NOT_TESTED_HERE() << "not a file system whose holes are known";
  EXPECT_EQ(all_populated(block), Pages{});
  // Through the mapping, not written back to the disk.
  for (const std::uint64_t page : {2u, 900u, 2047u}) write_to(block, page);
  const auto found = all_populated(block);
  for (const std::uint64_t page : {2u, 900u, 2047u}) EXPECT_TRUE(found.contains(page)) << page;
  EXPECT_LT(found.size(), pages / 2);
}

TEST(Populated, MemoryOfTwoKindsIsAllPopulated) {
  const auto ram = GuestRam::create({.size = 8 * mib});
  const auto file = GuestRam::create({.source = RamSource::memfd, .size = mib, .shared = true});
  ASSERT_TRUE(ram);
  ASSERT_TRUE(file);
  ASSERT_NE(::mmap(ram->host() + mib, mib, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file->fd(), 0),
            MAP_FAILED);
  EXPECT_EQ(all_populated(ram->block("ram")).size(), pages);
}

TEST(Populated, OnlyTheRangeAskedForIsChanged) {
  SKIP_WITHOUT_PAGEMAP_SCAN();
  const auto ram = GuestRam::create({.size = 8 * mib, .transparent_huge_pages = false});
  ASSERT_TRUE(ram);
  const RamBlock block = ram->block("ram");
  for (std::uint64_t page = 0; page < pages; page += 10) write_to(block, page);
  DirtyBitmap populated(pages);
  populated.set(1);
  populated.set(101);
  PopulationProbe(block).find({100, 50}, populated);
  EXPECT_TRUE(populated.test(1));
  EXPECT_FALSE(populated.test(101));
  EXPECT_EQ(populated.count(), 6u);  // 1, 100, 110, .. 140
}

/// The order a source keeps: first tracking, then the question.
template <typename Tracker>
void expect_untouched_stays_known(Result<std::unique_ptr<Tracker>> tracker, RamOptions options) {
  if (!tracker) NOT_TESTED_HERE() << "no tracker: " << tracker.error().explain();
  const auto ram = GuestRam::create(options);
  ASSERT_TRUE(ram);
  const RamBlock block = ram->block("ram");
  write_to(block, 3);
  ASSERT_TRUE((*tracker)->start(std::span(&block, 1)));
  write_to(block, 600);
  DirtyBitmap populated(pages);
  PopulationProbe probe(block);
  probe.find({0, pages}, populated);
  // Where there is swap, or huge pages, more pages count; never fewer.
  EXPECT_TRUE(populated.test(3));
  EXPECT_TRUE(populated.test(600));
  for (std::uint64_t page = 0; page < pages; ++page)
    EXPECT_TRUE(populated.test(page) || is_zero_page(block.host + page * page_size)) << page;
  std::ifstream swaps("/proc/swaps");
  std::string line;
  if (!(std::getline(swaps, line) && std::getline(swaps, line))) {
    EXPECT_LE(populated.count(), 513u);
  }
}

TEST(Populated, AnonymousUnderAsynchronousTracking) {
  expect_untouched_stays_known(UffdAsyncTracker::create(),
                               {.size = 8 * mib, .transparent_huge_pages = false});
}
TEST(Populated, AnonymousWithHugePagesUnderAsynchronousTracking) {
  expect_untouched_stays_known(UffdAsyncTracker::create(), {.size = 8 * mib});
}
TEST(Populated, SharedUnderAsynchronousTracking) {
  expect_untouched_stays_known(UffdAsyncTracker::create(),
                               {.source = RamSource::memfd, .size = 8 * mib, .shared = true});
}
TEST(Populated, AnonymousUnderSynchronousTracking) {
  expect_untouched_stays_known(UffdSyncTracker::create(), {.size = 8 * mib, .transparent_huge_pages = false});
}

RC_GTEST_PROP(Populated, NeverDeniesDataWhateverTheMemory, ()) {
  RamOptions options{.size = 8 * mib};
  options.source = *rc::gen::element(RamSource::anonymous, RamSource::memfd);
  options.shared = *rc::gen::arbitrary<bool>();
  options.transparent_huge_pages = *rc::gen::arbitrary<bool>();
  const auto ram = GuestRam::create(options);
  RC_ASSERT(ram.has_value());
  const RamBlock block = ram->block("ram");
  for (int n = *rc::gen::inRange(0, 30); n > 0; --n) {
    const auto page = *rc::gen::inRange<std::uint64_t>(0, pages);
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        write_to(block, page);
        break;
      case 1:
        read_from(block, page);
        break;
      case 2:
        ::madvise(block.host + page * page_size, page_size, MADV_DONTNEED);
        break;
      case 3:
        if (block.fd >= 0) RC_ASSERT(::pwrite(block.fd, "x", 1, static_cast<off_t>(page * page_size)) == 1);
        break;
    }
  }
  const DirtyBitmap populated = populated_pages(block);
  for (std::uint64_t page = 0; page < pages; ++page)
    RC_ASSERT(populated.test(page) || is_zero_page(block.host + page * page_size));
}

}  // namespace
}  // namespace godwit::memory
