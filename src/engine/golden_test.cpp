// Streams recorded from QEMU 7.2, loaded into a guest of the same shape.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include "engine/testing/none_guest.h"

namespace godwit::engine {
namespace {

using testing::golden;
using testing::Load;
using testing::load;
using testing::NoneGuest;

/// Pages of the samples (tests/data/golden/README.md).
void pattern_page(std::byte* at, std::size_t page) {
  for (std::size_t j = 0; j < page_size; ++j) at[j] = static_cast<std::byte>(7 * j + 13 * page);
}

std::vector<std::byte> set_a() {
  std::vector<std::byte> ram(16 << 20);
  for (std::size_t page : {0, 1, 2, 5, 100, 101}) pattern_page(ram.data() + page * page_size, page);
  std::memset(ram.data() + 16 * page_size, 0x41, page_size);
  ram[18 * page_size - 1] = std::byte{1};
  std::memset(ram.data() + 4095 * page_size, 0xff, page_size);
  return ram;
}

Capabilities with(Capability capability) {
  Capabilities capabilities;
  capabilities.set(capability, true);
  return capabilities;
}

TEST(GoldenStream, PlainPrecopyGivesSetA) {
  NoneGuest guest("m0", 4096);
  const Load loaded = load(guest, golden("01-precopy-plain.bin"));
  ASSERT_TRUE(loaded.result.has_value()) << loaded.result.error().what();
  EXPECT_EQ(loaded.state, RunState::running);
  EXPECT_EQ(std::memcmp(guest.ram_blocks()[0].host, set_a().data(), 16 << 20), 0);
}

TEST(GoldenStream, WithoutConfigurationFootersAndDescription) {
  NoneGuest guest("m0", 4096);
  const Load loaded =
      load(guest, golden("02-precopy-noconfig-nofooter-novmdesc.bin"), {},
           {.send_configuration = false, .send_section_footer = false, .send_description = false});
  ASSERT_TRUE(loaded.result.has_value()) << loaded.result.error().what();
  EXPECT_EQ(std::memcmp(guest.ram_blocks()[0].host, set_a().data(), 16 << 20), 0);
}

TEST(GoldenStream, IgnoredSharedMemoryAndUuid) {
  const auto stream = golden("03-config-capabilities-uuid.bin");
  NoneGuest guest("m0", 4096, true);
  guest.own_uuid =
      Uuid{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
  const Load loaded = load(guest, stream, with(Capability::x_ignore_shared));
  EXPECT_TRUE(loaded.result.has_value()) << loaded.result.error().what();
  EXPECT_FALSE(load(guest, stream).result.has_value()) << "x-ignore-shared is off here";
  guest.own_uuid = Uuid{1};
  EXPECT_FALSE(load(guest, stream, with(Capability::x_ignore_shared)).result.has_value()) << "another UUID";
}

TEST(GoldenStream, AReturnPathIsAnswered) {
  NoneGuest guest("m0", 4096);
  const Load loaded = load(guest, golden("06-return-path-to-dst.bin"));
  ASSERT_TRUE(loaded.result.has_value()) << loaded.result.error().what();
  ASSERT_EQ(loaded.replies.size(), 1u);
  EXPECT_EQ(std::get<wire::Pong>(loaded.replies[0]).value, 1u);
  EXPECT_EQ(std::memcmp(guest.ram_blocks()[0].host, set_a().data(), 16 << 20), 0);
}

TEST(GoldenStream, ASnapshotHasNoEndOfRam) {
  NoneGuest guest("ram", 4096);
  std::memset(guest.ram_blocks()[0].host + 0x5000, 0x55, page_size);  // must become zero
  const Load loaded = load(guest, golden("13-background-snapshot.bin"));
  ASSERT_TRUE(loaded.result.has_value()) << loaded.result.error().what();
  const std::vector<std::byte> zeros(16 << 20);
  EXPECT_EQ(std::memcmp(guest.ram_blocks()[0].host, zeros.data(), zeros.size()), 0);
}

}  // namespace
}  // namespace godwit::engine
