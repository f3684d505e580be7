#include "memory/zero_scan.h"

#include <algorithm>
#include <cstdio>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <string>
#include <vector>

#include <godwit/ram_block.h>

#include "base/testing/every_target.h"

namespace godwit::memory {
namespace {

using test::EveryTarget;

TEST(ZeroScan, MoreThanOneTargetIsCompiledAndRunHere) {
  std::vector<std::string> targets;
  EveryTarget().each([&targets](const char* name) { targets.emplace_back(name); });
  EXPECT_GE(targets.size(), 2u);  // x86-64 always has SSE2 beside scalar
  for (const std::string& target : targets) std::printf("target %s\n", target.c_str());
}

TEST(ZeroScan, FindsASingleBitAnywhere) {
  std::vector<std::byte> page(page_size);
  EveryTarget().each([&page](const char* target) {
    EXPECT_TRUE(is_zero_page(page.data())) << target;
    for (std::size_t offset = 0; offset < page_size; ++offset) {
      const auto bit = std::byte{1} << (offset % 8);
      page[offset] = bit;
      EXPECT_FALSE(is_zero_page(page.data())) << target << ", offset " << offset;
      page[offset] = std::byte{0};
    }
  });
}

TEST(ZeroScan, DoesNotLookPastThePage) {
  std::vector<std::byte> memory(3 * page_size, std::byte{0xff});
  for (const std::size_t start : {std::size_t{1}, std::size_t{64}, static_cast<std::size_t>(page_size)}) {
    std::ranges::fill(memory, std::byte{0xff});
    std::fill_n(memory.begin() + static_cast<std::ptrdiff_t>(start), page_size, std::byte{0});
    EveryTarget().each([&](const char* target) {
      EXPECT_TRUE(is_zero_page(memory.data() + start)) << target << ", start " << start;
      EXPECT_FALSE(is_zero_page(memory.data() + start - 1)) << target;
      EXPECT_FALSE(is_zero_page(memory.data() + start + 1)) << target;
    });
  }
}

RC_GTEST_PROP(ZeroScan, EveryTargetAgreesWithScalarOnRuns, ()) {
  const auto count = *rc::gen::inRange<std::size_t>(0, 65);
  std::vector<std::byte> memory(count * page_size);
  for (int specks = *rc::gen::inRange(0, 40); specks > 0 && count > 0; --specks)
    memory[*rc::gen::inRange<std::size_t>(0, memory.size())] = std::byte{*rc::gen::arbitrary<std::uint8_t>()};

  std::uint64_t want = 0;
  for (std::size_t page = 0; page < count; ++page)
    want |= std::uint64_t{is_zero_page_scalar(memory.data() + page * page_size)} << page;
  EveryTarget().each([&](const char*) { RC_ASSERT(zero_pages_in(memory.data(), count) == want); });
}

}  // namespace
}  // namespace godwit::memory
