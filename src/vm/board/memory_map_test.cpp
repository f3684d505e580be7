#include "vm/board/memory_map.h"

#include <gmock/gmock.h>
#include <vector>

namespace godwit::vm {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t gib = 1 << 30;

std::vector<std::byte> pattern(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * 7 + 1);
  return bytes;
}

TEST(PcMemoryLayout, HasAHoleBelowOneMebibyte) {
  std::vector<std::byte> ram(2 * mib);
  const auto slots = pc_memory_layout(ram.data(), ram.size());
  ASSERT_EQ(slots.size(), 2u);
  EXPECT_EQ(slots[0].guest_address, 0u);
  EXPECT_EQ(slots[0].size, 0xa0000u);
  EXPECT_EQ(slots[1].guest_address, mib);
  EXPECT_EQ(slots[1].size, mib);
  EXPECT_EQ(slots[1].host, ram.data() + mib);
  EXPECT_EQ(slots[1].block_offset, mib);
}

TEST(PcMemoryLayout, EndsInOrBeforeTheHole) {
  std::vector<std::byte> ram(mib);
  EXPECT_EQ(pc_memory_layout(ram.data(), 0x1000).at(0).size, 0x1000u);
  EXPECT_EQ(pc_memory_layout(ram.data(), 0xb0000).size(), 1u);
  EXPECT_EQ(pc_memory_layout(ram.data(), 0xb0000).at(0).size, 0xa0000u);
  EXPECT_TRUE(pc_memory_layout(ram.data(), 0).empty());
}

TEST(PcMemoryLayout, LeavesTheInterruptControllersOut) {
  // Only addresses are formed; nothing is touched.
  const auto slots = pc_memory_layout(reinterpret_cast<std::byte*>(mib), 8 * gib);
  ASSERT_EQ(slots.size(), 3u);
  EXPECT_EQ(slots[1].guest_address + slots[1].size, 0xfec00000u);
  EXPECT_EQ(slots[2].guest_address, 0xff000000u);
  EXPECT_EQ(slots[2].block_offset, 0xff000000u);
  EXPECT_EQ(slots[2].guest_address + slots[2].size, 8 * gib);
}

class MemoryMapTest : public ::testing::Test {
 protected:
  std::vector<std::byte> ram_ = std::vector<std::byte>(2 * mib);
  MemoryMap map_{pc_memory_layout(ram_.data(), ram_.size())};
};

TEST_F(MemoryMapTest, ReadsWhatWasWrittenAndTellsWhere) {
  const auto data = pattern(100);
  std::vector<std::uint64_t> written;
  map_.write(0x1234, data, [&](const MemoryMap::Piece& piece) {
    written.push_back(piece.block_offset);
    written.push_back(piece.bytes.size());
  });
  EXPECT_THAT(written, ElementsAre(0x1234u, 100u));
  std::vector<std::byte> back(100);
  map_.read(0x1234, back);
  EXPECT_EQ(back, data);
  EXPECT_EQ(ram_[0x1234], data[0]);
}

TEST_F(MemoryMapTest, TheHoleReadsAsOnesAndSwallowsWrites) {
  const auto data = pattern(0x60000 + 32);
  std::vector<std::uint64_t> offsets;
  map_.write(0xa0000 - 16, data,
             [&](const MemoryMap::Piece& piece) { offsets.push_back(piece.block_offset); });
  EXPECT_THAT(offsets, ElementsAre(0xa0000u - 16, mib));

  std::vector<std::byte> back(data.size());
  map_.read(0xa0000 - 16, back);
  EXPECT_TRUE(std::equal(data.begin(), data.begin() + 16, back.begin()));
  EXPECT_THAT(std::span(back).subspan(16, 0x60000), Each(std::byte{0xff}));
  EXPECT_TRUE(std::equal(data.end() - 16, data.end(), back.end() - 16));
  EXPECT_EQ(ram_[0xa0000], std::byte{0});
}

TEST_F(MemoryMapTest, NothingIsBehindTheEnd) {
  std::vector<std::byte> back(64);
  map_.read(2 * mib - 32, back);
  EXPECT_THAT(std::span(back).first(32), Each(std::byte{0}));
  EXPECT_THAT(std::span(back).subspan(32), Each(std::byte{0xff}));
}

TEST_F(MemoryMapTest, AnAddressThatOverflowsIsNoRam) {
  std::vector<std::byte> back(64);
  map_.read(~std::uint64_t{0} - 15, back);
  EXPECT_THAT(back, Each(std::byte{0xff}));
  bool written = false;
  map_.write(~std::uint64_t{0} - 15, pattern(64), [&](const MemoryMap::Piece&) { written = true; });
  EXPECT_FALSE(written);
  EXPECT_EQ(ram_[0], std::byte{0});
}

TEST(MemoryMap, WithoutRamEverythingIsOnes) {
  const MemoryMap map;
  std::vector<std::byte> back(8);
  map.read(0, back);
  EXPECT_THAT(back, Each(std::byte{0xff}));
}

}  // namespace
}  // namespace godwit::vm
