#include "vm/accel/unicorn/interrupt_delivery.h"

#include <cstring>
#include <gtest/gtest.h>
#include <vector>

namespace godwit::vm {
namespace {

constexpr std::uint64_t gdt_at = 0x1000, idt_at = 0x2000, tss_at = 0x3000;
constexpr std::uint64_t kernel_code_32 = 0x00cf9b000000ffff, kernel_data = 0x00cf93000000ffff,
                        kernel_code_64 = 0x00af9b000000ffff, user_code_32 = 0x00cffb000000ffff,
                        user_data = 0x00cff3000000ffff;
constexpr std::uint64_t flags_on = 0x202;

class InterruptDelivery : public ::testing::Test {
 protected:
  InterruptDelivery() : ram_(0x10000), memory_({{0, ram_.size(), ram_.data(), 0, 0}}) {
    const std::uint64_t gdt[] = {0, kernel_code_32, kernel_data, kernel_code_64, user_code_32, user_data};
    std::memcpy(&ram_[gdt_at], gdt, sizeof gdt);
    state_ = reset_cpu(0);
    state_.gdt = {0, gdt_at, 0x2f, 0};
    state_.idt = {0, idt_at, 0xfff, 0};
    state_.tr = {0x30, tss_at, 0x67, 0x8b00};
    state_.rflags = flags_on;
    state_.rip = 0x5000;
    state_.registers[rsp] = 0x8008;
  }
  void protect(std::uint16_t code, std::uint64_t descriptor, std::uint16_t stack, std::uint64_t data) {
    state_.cr0 |= cr0_bit::protection;
    state_.segments[cs] = segment(code, descriptor);
    state_.segments[ss] = segment(stack, data);
  }
  static Segment segment(std::uint16_t selector, std::uint64_t descriptor) {
    const auto flags = static_cast<std::uint32_t>(descriptor >> 32) & 0x00f0ff00;
    return {selector, 0, 0xffffffff, flags};
  }
  void go_to_long_mode() {
    state_.efer = efer_bit::long_mode_enable | efer_bit::long_mode_active;
    protect(0x18, kernel_code_64, 0x10, kernel_data);
  }
  template <typename T>
  void put(std::uint64_t at, T value) {
    std::memcpy(&ram_[at], &value, sizeof value);
  }
  template <typename T>
  T get(std::uint64_t at) {
    T value;
    std::memcpy(&value, &ram_[at], sizeof value);
    return value;
  }
  void gate_32(unsigned vector, std::uint16_t selector, std::uint32_t offset, std::uint16_t type = 0x8e00) {
    put<std::uint32_t>(idt_at + vector * 8, std::uint32_t{selector} << 16 | (offset & 0xffff));
    put<std::uint32_t>(idt_at + vector * 8 + 4, (offset & 0xffff0000) | type);
  }
  void gate_64(unsigned vector, std::uint16_t selector, std::uint64_t offset, std::uint16_t type = 0x8e00) {
    put<std::uint32_t>(idt_at + vector * 16, std::uint32_t{selector} << 16 | (offset & 0xffff));
    put<std::uint32_t>(idt_at + vector * 16 + 4, static_cast<std::uint32_t>(offset & 0xffff0000) | type);
    put<std::uint32_t>(idt_at + vector * 16 + 8, static_cast<std::uint32_t>(offset >> 32));
  }
  bool enter(std::uint8_t vector, std::optional<std::uint32_t> error = {}, bool software = false) {
    return enter_interrupt(state_, memory_, {vector, software, error});
  }
  void expect_refused(std::uint8_t vector, bool software = false) {
    const CpuState before = state_;
    EXPECT_FALSE(enter(vector, {}, software));
    EXPECT_EQ(state_, before);
  }

  std::vector<std::byte> ram_;
  MemoryMap memory_;
  CpuState state_;
};

TEST_F(InterruptDelivery, RealModeGoesThroughTheVectorTable) {
  state_.idt = {0, 0, 0x3ff, 0};
  state_.segments[cs] = {0x100, 0x1000, 0xffff, 0x9b00};
  state_.segments[ss] = {0x200, 0x2000, 0xffff, 0x9300};
  state_.registers[rsp] = 0x12340002;  // wraps within 64 KiB
  put<std::uint32_t>(0x20 * 4, 0x03450678);
  ram_.resize(0x20000);
  memory_ = MemoryMap({{0, ram_.size(), ram_.data(), 0, 0}});
  ASSERT_TRUE(enter(0x20));
  EXPECT_EQ(state_.rip, 0x678u);
  EXPECT_EQ(state_.segments[cs].selector, 0x345u);
  EXPECT_EQ(state_.segments[cs].base, 0x3450u);
  EXPECT_EQ(state_.registers[rsp], 0x1234fffcu);
  EXPECT_EQ(get<std::uint16_t>(0x2000), flags_on);
  EXPECT_EQ(get<std::uint16_t>(0x2000 + 0xfffe), 0x100);
  EXPECT_EQ(get<std::uint16_t>(0x2000 + 0xfffc), 0x5000);
  EXPECT_EQ(state_.rflags, 2u);
}

TEST_F(InterruptDelivery, ProtectedModeStaysInItsRing) {
  protect(0x08, kernel_code_32, 0x10, kernel_data);
  gate_32(0x40, 0x08, 0x12345678);
  ASSERT_TRUE(enter(0x40));
  EXPECT_EQ(state_.rip, 0x12345678u);
  EXPECT_EQ(state_.registers[rsp], 0x7ffcu);
  EXPECT_EQ(get<std::uint32_t>(0x8004), flags_on);
  EXPECT_EQ(get<std::uint32_t>(0x8000), 0x08u);
  EXPECT_EQ(get<std::uint32_t>(0x7ffc), 0x5000u);
  EXPECT_EQ(state_.rflags, 2u);
}

TEST_F(InterruptDelivery, TrapGateLeavesInterruptsOnAndErrorCodesArePushed) {
  protect(0x08, kernel_code_32, 0x10, kernel_data);
  gate_32(13, 0x08, 0x6000, 0x8f00);
  ASSERT_TRUE(enter(13, 0x1234));
  EXPECT_EQ(get<std::uint32_t>(state_.registers[rsp]), 0x1234u);
  EXPECT_EQ(get<std::uint32_t>(state_.registers[rsp] + 4), 0x5000u);
  EXPECT_EQ(state_.rflags, flags_on);
}

TEST_F(InterruptDelivery, InnerRingHasItsOwnStack) {
  protect(0x23, user_code_32, 0x2b, user_data);
  put<std::uint32_t>(tss_at + 4, 0x9000);
  put<std::uint16_t>(tss_at + 8, 0x10);
  gate_32(0x40, 0x08, 0x6000);
  ASSERT_TRUE(enter(0x40));
  EXPECT_EQ(state_.segments[cs].selector, 0x08u);
  EXPECT_EQ(state_.segments[ss].selector, 0x10u);
  EXPECT_EQ(state_.segments[ss].dpl(), 0u);
  EXPECT_EQ(state_.registers[rsp], 0x9000u - 20);
  EXPECT_EQ(get<std::uint32_t>(0x9000 - 4), 0x2bu);
  EXPECT_EQ(get<std::uint32_t>(0x9000 - 8), 0x8008u);
  EXPECT_EQ(get<std::uint32_t>(0x9000 - 12), flags_on);
  EXPECT_EQ(get<std::uint32_t>(0x9000 - 16), 0x23u);
  EXPECT_EQ(get<std::uint32_t>(0x9000 - 20), 0x5000u);
}

TEST_F(InterruptDelivery, LongModeAlignsTheStackAndAlwaysPushesIt) {
  go_to_long_mode();
  gate_64(0x40, 0x18, 0xffff800000006000);
  ASSERT_TRUE(enter(0x40));
  EXPECT_EQ(state_.rip, 0xffff800000006000u);
  EXPECT_EQ(state_.registers[rsp], 0x8000u - 40);
  EXPECT_EQ(get<std::uint64_t>(0x8000 - 8), 0x10u);
  EXPECT_EQ(get<std::uint64_t>(0x8000 - 16), 0x8008u);
  EXPECT_EQ(get<std::uint64_t>(0x8000 - 24), flags_on);
  EXPECT_EQ(get<std::uint64_t>(0x8000 - 32), 0x18u);
  EXPECT_EQ(get<std::uint64_t>(0x8000 - 40), 0x5000u);
  EXPECT_EQ(state_.segments[ss].selector, 0x10u);
}

TEST_F(InterruptDelivery, LongModeTakesStacksOfTheTss) {
  go_to_long_mode();
  put<std::uint64_t>(tss_at + 0x24 + 2 * 8, 0xa000);  // IST 3
  gate_64(2, 0x18, 0x6000);
  put<std::uint8_t>(idt_at + 2 * 16 + 4, 3);
  ASSERT_TRUE(enter(2));
  EXPECT_EQ(state_.registers[rsp], 0xa000u - 40);

  state_.segments[cs] = segment(0x33, kernel_code_64 | 3ull << 45);
  state_.segments[ss] = segment(0x2b, user_data);
  state_.rflags = flags_on;
  put<std::uint64_t>(tss_at + 4, 0xb000);
  gate_64(0x40, 0x18, 0x6000);
  ASSERT_TRUE(enter(0x40));
  EXPECT_EQ(state_.registers[rsp], 0xb000u - 40);
  EXPECT_EQ(get<std::uint64_t>(0xb000 - 8), 0x2bu);
  EXPECT_EQ(state_.segments[ss].selector, 0u);
  EXPECT_EQ(state_.segments[ss].dpl(), 0u);
  EXPECT_EQ(state_.segments[cs].selector, 0x18u);
}

TEST_F(InterruptDelivery, RefusesWhatTheProcessorCannotEnter) {
  protect(0x08, kernel_code_32, 0x10, kernel_data);
  expect_refused(0x40);  // not present
  gate_32(0x40, 0x10, 0x6000);
  expect_refused(0x40);  // data
  gate_32(0x40, 0x38, 0x6000);
  expect_refused(0x40);  // past the table
  gate_32(0x40, 0x08, 0x6000, 0x8500);
  expect_refused(0x40);  // a task gate
  gate_32(0x40, 0x08, 0x6000);
  state_.idt.limit = 0x40 * 8 + 6;
  expect_refused(0x40);
  state_.idt.limit = 0xfff;
  state_.registers[rsp] = 0xf0000000;
  expect_refused(0x40);  // no stack
}

TEST_F(InterruptDelivery, SoftwareInterruptsNeedTheGatesPrivilege) {
  protect(0x23, user_code_32, 0x2b, user_data);
  put<std::uint32_t>(tss_at + 4, 0x9000);
  put<std::uint16_t>(tss_at + 8, 0x10);
  gate_32(0x80, 0x08, 0x6000);
  expect_refused(0x80, true);
  gate_32(0x80, 0x08, 0x6000, 0xee00);
  EXPECT_TRUE(enter(0x80, {}, true));
}

}  // namespace
}  // namespace godwit::vm
