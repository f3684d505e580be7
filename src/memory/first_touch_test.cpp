#include "memory/first_touch.h"

#include <cstring>
#include <gtest/gtest.h>
#include <thread>
#include <vector>

#include "memory/populated.h"
#include "memory/ram.h"

namespace godwit::memory {
namespace {

constexpr std::uint64_t huge_page = 2 * 1024 * 1024;

TEST(FirstTouch, TouchesOnePageOfEachHugePageOnce) {
  // Small pages, so that each is seen.
  const GuestRam ram = GuestRam::create({.size = 4 * huge_page, .transparent_huge_pages = false}).value();
  if (!PopulationProbe(ram.block("ram")).knows())
    GTEST_SKIP() << "NOT TESTED HERE: this kernel has no PAGEMAP_SCAN";
  FirstTouch first(ram.host(), 4 * huge_page);
  const std::vector<std::uint64_t> offsets = {huge_page + page_size, huge_page + 2 * page_size,
                                              4 * huge_page - page_size};
  first.touch(offsets);
  first.touch(std::vector<std::uint64_t>{huge_page});
  const DirtyBitmap found = populated_pages(ram.block("ram"));
  EXPECT_EQ(found.count(), 2u);
  EXPECT_TRUE(found.test(offsets[0] / page_size));
  EXPECT_TRUE(found.test(offsets[2] / page_size));
}

TEST(FirstTouch, ManyThreadsKeepWhatIsThere) {
  const GuestRam ram = GuestRam::create({.size = 8 * huge_page}).value();
  std::memset(ram.host(), 0x5a, huge_page);
  FirstTouch first(ram.host(), 8 * huge_page);
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t thread = 0; thread < 4; ++thread)
      threads.emplace_back([&, thread] {
        for (std::uint64_t at = thread * page_size; at < 8 * huge_page; at += 4 * page_size) {
          first.touch({&at, 1});
          if (at >= huge_page) ram.host()[at] = std::byte{1};
        }
      });
  }
  for (std::uint64_t at = 0; at < 8 * huge_page; at += page_size)
    ASSERT_EQ(ram.host()[at], at < huge_page ? std::byte{0x5a} : std::byte{1});
}

}  // namespace
}  // namespace godwit::memory
