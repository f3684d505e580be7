#include "memory/kvm_slots.h"

#include <array>
#include <gtest/gtest.h>

namespace godwit::memory {
namespace {

// Addresses are only compared, never used.
std::byte* at(std::uint64_t page) {
  return reinterpret_cast<std::byte*>(0x7000'0000 + page * page_size);
}

bool operator==(const SlotPiece& a, const SlotPiece& b) {
  return a.slot == b.slot && a.slot_page == b.slot_page && a.block == b.block &&
         a.block_page == b.block_page && a.pages == b.pages;
}

TEST(KvmSlots, ABlockWithAHoleInTheMiddleHasTwoPieces) {
  const std::array blocks{RamBlock{.name = "pc.ram", .host = at(0), .size = 1000 * page_size}};
  const std::array slots{
      KvmSlot{.id = 0, .guest_address = 0, .size = 160 * page_size, .host = at(0)},
      KvmSlot{.id = 1, .guest_address = 256 * page_size, .size = 744 * page_size, .host = at(256)}};
  const auto pieces = match_slots(slots, blocks);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_TRUE((pieces[0] == SlotPiece{.slot = 0, .slot_page = 0, .block = 0, .block_page = 0, .pages = 160}));
  EXPECT_TRUE(
      (pieces[1] == SlotPiece{.slot = 1, .slot_page = 0, .block = 0, .block_page = 256, .pages = 744}));
}

TEST(KvmSlots, ASlotMayReachOverSeveralBlocksAndPastThem) {
  const std::array blocks{RamBlock{.name = "a", .host = at(10), .size = 10 * page_size},
                          RamBlock{.name = "b", .host = at(25), .size = 10 * page_size}};
  const std::array slots{KvmSlot{.id = 7, .size = 100 * page_size, .host = at(0)}};
  const auto pieces = match_slots(slots, blocks);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_TRUE((pieces[0] == SlotPiece{.slot = 0, .slot_page = 10, .block = 0, .block_page = 0, .pages = 10}));
  EXPECT_TRUE((pieces[1] == SlotPiece{.slot = 0, .slot_page = 25, .block = 1, .block_page = 0, .pages = 10}));
}

TEST(KvmSlots, ReadOnlyAndForeignSlotsHaveNone) {
  const std::array blocks{RamBlock{.name = "a", .host = at(10), .size = 10 * page_size}};
  const std::array slots{KvmSlot{.id = 0, .size = 10 * page_size, .host = at(10), .read_only = true},
                         KvmSlot{.id = 1, .size = 10 * page_size, .host = at(20)},
                         KvmSlot{.id = 2, .size = 10 * page_size, .host = at(0)}};
  EXPECT_TRUE(match_slots(slots, blocks).empty());
}

TEST(KvmSlots, LoggingOnSomethingThatIsNoVmIsAnErrorThatNamesTheSlot) {
  const auto result =
      set_dirty_logging(-1, {.id = 3, .guest_address = 0x1000, .size = page_size, .host = at(0)}, true);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().what(),
            "KVM cannot start the dirty log of slot 3 at guest address 0x1000: Bad file descriptor");
}

}  // namespace
}  // namespace godwit::memory
