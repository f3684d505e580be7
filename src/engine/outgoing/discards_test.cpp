// What a destination is told to drop, and when.
#include "engine/outgoing/discards.h"

#include <gtest/gtest.h>

#include "wire/command.h"
#include "wire/record.h"

namespace godwit::engine {
namespace {

using Ranges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;  // of pages: first, count

constexpr std::uint64_t huge = 2 * 1024 * 1024;

/// What is said of the only block.
Ranges say(Discards& discards, const DirtyBitmap& missing) {
  Output out;
  discards.encode({&missing, 1}, out);
  SpanInput in(out.data());
  Ranges ranges;
  while (!in.window().empty()) {
    const auto type = wire::decode_record_type(in);
    EXPECT_TRUE(type.has_value());
    const auto command = wire::decode_command(in);
    EXPECT_TRUE(command.has_value());
    if (!type || !command) break;
    const auto& discard = std::get<wire::PostcopyDiscard>(*command);
    EXPECT_EQ(discard.block, "ram");
    EXPECT_LE(discard.ranges.size(), wire::discard_ranges_sent);
    for (const auto& range : discard.ranges)
      ranges.emplace_back(range.start / page_size, range.length / page_size);
  }
  return ranges;
}

DirtyBitmap pages(std::uint64_t size, const Ranges& ranges) {
  DirtyBitmap bitmap(size);
  for (const auto& [first, count] : ranges) bitmap.set_range({first, count});
  return bitmap;
}

TEST(Discards, SayNothingTwice) {
  const RamBlock block{.name = "ram", .size = 1024 * page_size};
  Discards discards({&block, 1});
  EXPECT_EQ(say(discards, pages(1024, {{10, 20}, {100, 1}})), (Ranges{{10, 20}, {100, 1}}));
  EXPECT_EQ(say(discards, pages(1024, {{5, 30}, {100, 1}, {1023, 1}})), (Ranges{{5, 5}, {30, 5}, {1023, 1}}));
  EXPECT_EQ(say(discards, pages(1024, {{5, 30}})), Ranges{});
}

TEST(Discards, AreOfWholeHugePages) {
  const RamBlock block{.name = "ram", .size = 3 * huge, .host_page_size = huge};
  Discards discards({&block, 1});
  EXPECT_EQ(say(discards, pages(1536, {{600, 1}})), (Ranges{{512, 512}}));
  EXPECT_EQ(say(discards, pages(1536, {{600, 7}, {1535, 1}})), (Ranges{{1024, 512}}));
}

TEST(Discards, FillAsManyCommandsAsTheyNeed) {
  const RamBlock block{.name = "ram", .size = 1024 * page_size};
  Discards discards({&block, 1});
  Ranges ranges;
  for (std::uint64_t page = 0; page < 1024; page += 2) ranges.emplace_back(page, 1);
  EXPECT_EQ(say(discards, pages(1024, ranges)), ranges);
}

}  // namespace
}  // namespace godwit::engine
