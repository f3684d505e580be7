#include "vm/board/microvm_memory.h"

#include <array>
#include <cstring>
#include <gtest/gtest.h>
#include <vector>

#include "vm/board/bios.h"
#include "vm/board/memory_map.h"
#include "vm/board/mmio_map.h"
#include "vm/devices/virtio_slot.h"
#include "vm/testing/witness.h"

namespace godwit::vm {
namespace {

// Addresses are only compared, never used.
std::byte* const ram = reinterpret_cast<std::byte*>(0x7000'0000'0000);
std::byte* const bios = reinterpret_cast<std::byte*>(0x7100'0000'0000);
constexpr std::uint64_t kib = 1024, mib = 1024 * kib, gib = 1024 * mib;

TEST(MicrovmMemory, TheEndOfTheBiosShowsBelowOneMiB) {
  const auto slots = microvm_memory_layout(ram, 2 * mib, bios, 256 * kib);
  ASSERT_EQ(slots.size(), 4u);
  EXPECT_EQ(slots[0].size, mib - 128 * kib);
  EXPECT_EQ(slots[1].guest_address, mib - 128 * kib);
  EXPECT_EQ(slots[1].host, bios + 128 * kib);
  EXPECT_EQ(slots[1].block, 1u);
  EXPECT_EQ(slots[1].block_offset, 128 * kib);
  EXPECT_EQ(slots[2].guest_address, mib);
  EXPECT_EQ(slots[2].block_offset, mib);
  EXPECT_EQ(slots[3].guest_address, 4 * gib - 256 * kib);
  EXPECT_EQ(slots[3].size, 256 * kib);
}

TEST(MicrovmMemory, ASmallBiosHidesLess) {
  const auto slots = microvm_memory_layout(ram, 2 * mib, bios, 64 * kib);
  EXPECT_EQ(slots[0].size, mib - 64 * kib);
  EXPECT_EQ(slots[1].host, bios);
}

TEST(MicrovmMemory, WhatIsAboveThreeGiBIsAboveFour) {
  const auto slots = microvm_memory_layout(ram, 5 * gib, bios, 64 * kib);
  ASSERT_EQ(slots.size(), 5u);
  EXPECT_EQ(slots[2].size, 3 * gib - mib);
  EXPECT_EQ(slots[4].guest_address, 4 * gib);
  EXPECT_EQ(slots[4].block_offset, 3 * gib);
  EXPECT_EQ(slots[4].size, 2 * gib);
}

TEST(MicrovmMemory, BothWindowsAreTheSameMemory) {
  std::vector<std::byte> host_ram(2 * mib), host_bios(64 * kib);
  const MemoryMap map(
      microvm_memory_layout(host_ram.data(), host_ram.size(), host_bios.data(), host_bios.size()));
  std::vector<std::pair<std::size_t, std::uint64_t>> written;
  const auto note = [&](const MemoryMap::Piece& piece) {
    written.emplace_back(piece.block, piece.block_offset);
  };
  const std::array value{std::byte{0x5a}};
  map.write(mib - 16, value, note);
  std::array<std::byte, 1> high{};
  map.read(4 * gib - 16, high);
  EXPECT_EQ(high[0], std::byte{0x5a});
  EXPECT_EQ(host_ram[mib - 16], std::byte{0}) << "hidden";
  ASSERT_EQ(written.size(), 1u);
  EXPECT_EQ(written[0], (std::pair<std::size_t, std::uint64_t>(1, 64 * kib - 16)));
}

TEST(Bios, HasAMultipleOf64KiB) {
  const testing::TemporaryFile good(std::vector<std::byte>(128 * kib, std::byte{7}));
  const auto image = read_bios(good.path());
  ASSERT_TRUE(image);
  EXPECT_EQ(image->size(), 128 * kib);
  EXPECT_EQ(image->back(), std::byte{7});
  const testing::TemporaryFile odd(std::vector<std::byte>(64 * kib + 512));
  const auto refused = read_bios(odd.path());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what().find("66048 bytes"), std::string::npos);
  EXPECT_FALSE(read_bios(testing::TemporaryFile({}).path()));
  EXPECT_FALSE(read_bios("/nonexistent/bios"));
}

TEST(MmioMap, ADeviceTakesWhatLiesInItAsAWhole) {
  MmioMap map;
  VirtioSlot slot;
  map.add(0xfeb00000, VirtioSlot::size, slot);
  std::uint32_t value = 0;
  const auto read = [&](std::uint64_t address) {
    value = 0xdead;
    return map.read(address, std::as_writable_bytes(std::span(&value, 1)));
  };
  EXPECT_TRUE(read(0xfeb00000));
  EXPECT_EQ(value, 0x74726976u);
  EXPECT_TRUE(read(0xfeb00004));
  EXPECT_EQ(value, 1u);
  EXPECT_TRUE(read(0xfeb00008));
  EXPECT_EQ(value, 0u) << "no device";
  EXPECT_FALSE(read(0xfeb001fe));
  EXPECT_FALSE(read(0xfeb00200));
  EXPECT_FALSE(read(0xfeafffff));
}

}  // namespace
}  // namespace godwit::vm
