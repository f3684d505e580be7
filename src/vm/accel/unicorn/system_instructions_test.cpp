#include "vm/accel/unicorn/system_instructions.h"

#include <cstring>
#include <gtest/gtest.h>
#include <vector>

#include "vm/accel/unicorn/page_walk.h"
#include "vm/board/boot_sector.h"

namespace godwit::vm {
namespace {

class SystemInstructions : public ::testing::Test {
 protected:
  template <typename... Bytes>
  void code(std::uint64_t address, Bytes... bytes) {
    const std::uint8_t values[] = {static_cast<std::uint8_t>(bytes)...};
    std::memcpy(ram_.data() + address, values, sizeof values);
  }
  void quad(std::uint64_t address, std::uint64_t value) {
    std::memcpy(ram_.data() + address, &value, sizeof value);
  }
  bool step() { return interpret_system_instruction(state_, memory_); }

  /// Page tables at 0x10000: the first GiB in 2 MiB pages, but for one 4 KiB page at 0x200000 that shows
  /// 0x5000.
  void map_pages() {
    quad(0x10000, 0x11007);
    quad(0x11000, 0x12007);
    for (std::uint64_t i = 0; i < 512; ++i) quad(0x12000 + 8 * i, i << 21 | 0x87);
    quad(0x12000 + 8, 0x13007);
    quad(0x13000, 0x5007);
    state_.cr3 = 0x10000;
    state_.cr4 = 1 << 5;
  }
  void enter_64_bit() {
    map_pages();
    state_.cr0 = cr0_bit::paging | cr0_bit::protection;
    state_.efer = 0x501;
    state_.segments[cs] = segment_of_descriptor(8, 0x00209a0000000000);
    state_.segments[ss] = segment_of_descriptor(0x10, 0x00cf92000000ffff);
  }

  std::vector<std::byte> ram_ = std::vector<std::byte>(1 << 20);
  MemoryMap memory_{{{0, 1 << 20, ram_.data(), 0, 0}}};
  CpuState state_ = booting_cpu();
};

TEST_F(SystemInstructions, WritesAndReadsEfer) {
  code(0x7c00, 0x0f, 0x30, 0x0f, 0x32);
  state_.registers[rcx] = 0xc0000080;
  state_.registers[rax] = 0x901;
  state_.registers[rdx] = 0;
  ASSERT_TRUE(step());
  EXPECT_EQ(state_.efer, 0x901u);
  EXPECT_EQ(state_.rip, 0x7c02u);
  state_.registers[rax] = 0;
  ASSERT_TRUE(step());
  EXPECT_EQ(state_.registers[rax], 0x901u);
}

TEST_F(SystemInstructions, LeavesOtherRegistersAlone) {
  code(0x7c00, 0x0f, 0x30);
  state_.registers[rcx] = 0xc0000081;
  const CpuState before = state_;
  EXPECT_FALSE(step());
  EXPECT_EQ(state_, before);
}

TEST_F(SystemInstructions, EntersLongModeAndJumpsTo64BitCode) {
  map_pages();
  state_.efer = efer_bit::long_mode_enable;
  state_.registers[rax] = 0x80000011;
  code(0x7c00, 0x0f, 0x22, 0xc0, 0xeb, 0x02);  // mov cr0, eax; jmp short
  code(0x7c07, 0xea, 0x00, 0x7d, 0x08, 0x00);  // ljmp 8:7d00
  quad(0x6008, 0x00209a0000000000);
  state_.gdt = {0, 0x6000, 15, 0};
  ASSERT_TRUE(step());
  EXPECT_EQ(state_.cr0, 0x80000011u);
  EXPECT_TRUE(state_.efer & efer_bit::long_mode_active);
  EXPECT_TRUE(is_compatibility_code(state_));
  ASSERT_TRUE(step());
  EXPECT_EQ(state_.rip, 0x7c07u);
  ASSERT_TRUE(step());
  EXPECT_TRUE(is_64_bit_code(state_));
  EXPECT_EQ(state_.rip, 0x7d00u);
  EXPECT_EQ(state_.segments[cs].selector, 8u);
}

TEST_F(SystemInstructions, AFarJumpBehindTheTableIsNotDone) {
  map_pages();
  state_.cr0 = 0x80000011;
  state_.efer = 0x500;
  code(0x7c00, 0xea, 0x00, 0x7d, 0x10, 0x00);
  state_.gdt = {0, 0x6000, 15, 0};
  EXPECT_FALSE(step());
}

TEST_F(SystemInstructions, OrdinaryProtectedModeIsNotOurs) {
  state_.registers[rax] = 0x11;
  code(0x7c00, 0x0f, 0x22, 0xc0);
  EXPECT_FALSE(step());
}

TEST_F(SystemInstructions, ReturnsToRing3) {
  enter_64_bit();
  code(0x7c00, 0x48, 0x0f, 0x07);
  state_.star = 0x0008'0000'0000'0000;
  state_.registers[rcx] = 0x7c85;
  state_.registers[11] = 0x3002;
  ASSERT_TRUE(step());
  EXPECT_EQ(state_.rip, 0x7c85u);
  EXPECT_EQ(state_.rflags, 0x3002u);
  EXPECT_EQ(state_.segments[cs].selector, 0x1bu);
  EXPECT_EQ(state_.segments[ss].selector, 0x13u);
  EXPECT_EQ(state_.segments[cs].dpl(), 3u);
  EXPECT_TRUE(is_64_bit_code(state_));
  EXPECT_FALSE(step()) << "not from ring 3";
}

TEST_F(SystemInstructions, WalksPages) {
  enter_64_bit();
  EXPECT_EQ(to_physical(state_, memory_, 0x7c00), 0x7c00u);
  EXPECT_EQ(to_physical(state_, memory_, 0x200123), 0x5123u);
  EXPECT_EQ(to_physical(state_, memory_, 0x201000), std::nullopt);
  EXPECT_EQ(to_physical(state_, memory_, std::uint64_t{1} << 30), std::nullopt);
  state_.cr3 = 0x40000000;  // no RAM there
  EXPECT_EQ(to_physical(state_, memory_, 0x7c00), std::nullopt);
}

TEST_F(SystemInstructions, DescriptorsAndSegmentsAreTheSame) {
  for (const std::uint64_t descriptor : {0x00cf93000000ffffu, 0x00209a0000000000u, 0x12409b3456781234u}) {
    const Segment segment = segment_of_descriptor(8, descriptor);
    EXPECT_EQ(descriptor_of_segment(segment), descriptor) << std::hex << descriptor;
  }
  EXPECT_EQ(segment_of_descriptor(8, 0x00cf93000000ffff).limit, 0xffffffffu);
  EXPECT_EQ(segment_of_descriptor(8, 0x12409b3456781234).base, 0x12345678u);
}

TEST_F(SystemInstructions, FindsWhereOneMayBegin) {
  const std::uint8_t bytes[] = {0x90, 0x0f, 0x30, 0x0f, 0x22, 0xc0, 0x0f};
  const auto block = std::as_bytes(std::span(bytes));
  EXPECT_EQ(find_system_instruction(block, 0), 1u);
  EXPECT_EQ(find_system_instruction(block, 2), 3u);
  EXPECT_EQ(find_system_instruction(block, 4), std::nullopt);
}

}  // namespace
}  // namespace godwit::vm
