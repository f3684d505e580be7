#include "cli/demo/witness_guest.h"

#include <cstring>
#include <gmock/gmock.h>

#include "base/fail.h"

namespace godwit::cli::demo {
namespace {

std::uint32_t parameter(const std::array<std::byte, 512>& image, std::size_t index) {
  std::uint32_t value;
  std::memcpy(&value, image.data() + 0x1fe - 24 + 4 * index, sizeof value);
  return value;
}

TEST(WitnessImage, IsABootSectorWithTheParametersInTheirPlaces) {
  const auto image =
      witness_image({.fill_pages = 1000, .hot_pages = 100, .words = 8, .ticks_per_page = 77, .gap_ticks = 9});
  EXPECT_EQ(image[510], std::byte{0x55});
  EXPECT_EQ(image[511], std::byte{0xaa});
  EXPECT_EQ(image[0], std::byte{0xfa});  // cli, its first instruction
  EXPECT_EQ(parameter(image, 0), 1000);
  EXPECT_EQ(parameter(image, 1), 100);
  EXPECT_EQ(parameter(image, 2), 8);
  EXPECT_EQ(parameter(image, 3), 77);
  EXPECT_EQ(parameter(image, 4), 9);
  EXPECT_EQ(parameter(image, 5), 0xffffffff);  // noise
}

/// A memory of which every 64-bit word is its own address.
class AddressMemory final : public GuestMemory {
 public:
  Result<> read(std::uint64_t address, std::span<std::byte> bytes) override {
    for (std::size_t at = 0; at < bytes.size(); at += 8) {
      const std::uint64_t word = address + at;
      std::memcpy(bytes.data() + at, &word, 8);
    }
    return {};
  }
  Result<> write(std::uint64_t address, std::span<const std::byte> bytes) override {
    written_address = address;
    written.assign(bytes.begin(), bytes.end());
    return {};
  }
  std::uint64_t written_address = 0;
  std::vector<std::byte> written;
};

TEST(WitnessInfo, TakesEachCounterFromItsPlace) {
  AddressMemory memory;
  const auto info = read_info(memory);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->iterations, 0x9000);
  EXPECT_EQ(info->clock, 0x9008);
  EXPECT_EQ(info->pass, 0x9010);
  EXPECT_EQ(info->gaps, 0x9018);
  EXPECT_EQ(info->pages, 0x9020);
  EXPECT_EQ(info->errors, 0x9028);
  EXPECT_TRUE(info->checking);
}

TEST(WitnessGaps, AreTakenFromTheRing) {
  AddressMemory memory;
  const auto gaps = read_gaps(memory, 5, 3);
  ASSERT_TRUE(gaps);
  ASSERT_EQ(gaps->size(), 3);
  EXPECT_EQ(gaps->front().end, 0x200000 + 5 * 16);
  EXPECT_EQ(gaps->back().ticks, 0x200000 + 7 * 16 + 8);
}

TEST(WitnessGaps, GoRoundAndKeepTheNewest) {
  AddressMemory memory;
  const auto round = read_gaps(memory, 0xffffffff, 2);  // the count wraps as well
  ASSERT_TRUE(round);
  EXPECT_EQ((*round)[0].end, 0x200000 + 65535 * 16);
  EXPECT_EQ((*round)[1].end, 0x200000);
  const auto many = read_gaps(memory, 10, 65536 + 5);
  ASSERT_TRUE(many);
  EXPECT_EQ(many->size(), 65536);
  EXPECT_EQ(many->front().end, 0x200000 + 15 * 16);
  EXPECT_EQ(many->back().end, 0x200000 + 14 * 16);
}

TEST(WitnessCheck, IsAskedForWithOneByte) {
  AddressMemory memory;
  ASSERT_TRUE(request_check(memory));
  EXPECT_EQ(memory.written_address, 0x9030);
  EXPECT_THAT(memory.written, ::testing::ElementsAre(std::byte{1}));
}

}  // namespace
}  // namespace godwit::cli::demo
