#include <gtest/gtest.h>

#include "vm/devices/interrupt_controllers.h"
#include "vm/testing/virtual_time.h"

namespace godwit::vm {
namespace {

namespace reg {
constexpr unsigned id = 0x20, version = 0x30, task_priority = 0x80, processor_priority = 0xa0, eoi = 0xb0,
                   logical_destination = 0xd0, destination_format = 0xe0, spurious = 0xf0,
                   error_status = 0x280, command_low = 0x300, command_high = 0x310, lvt_timer = 0x320,
                   lvt_lint0 = 0x350, lvt_error = 0x370, initial_count = 0x380, current_count = 0x390,
                   divide = 0x3e0;
}  // namespace reg

constexpr std::uint32_t enable = 0x1ff, periodic = 0x20000, masked = 0x10000, divide_by_1 = 0xb;

using Kind = VcpuEvent::Kind;

class LocalApicTest : public ::testing::Test {
 protected:
  LocalApicTest() {
    for (unsigned i = 0; i < 3; ++i) cpu(i).write_register(reg::spurious, enable);
    // Started, both of them.
    for (unsigned i = 1; i < 3; ++i) controllers_.apic_state(i).wait_for_sipi = 0;
  }
  VcpuInterrupts& cpu(unsigned index) { return controllers_.processor(index); }
  void send(unsigned from, std::uint32_t destination, std::uint32_t command) {
    cpu(from).write_register(reg::command_high, destination << 24);
    cpu(from).write_register(reg::command_low, command);
  }
  void expect_interrupt(unsigned index, std::uint8_t vector) {
    ASSERT_TRUE(cpu(index).has_event(true)) << index;
    const VcpuEvent event = cpu(index).take(true);
    EXPECT_EQ(event.kind, Kind::interrupt);
    EXPECT_EQ(event.vector, vector);
  }
  void expect_nothing(unsigned index) { EXPECT_FALSE(cpu(index).has_event(true)) << index; }

  testing::VirtualTime time_;
  InterruptControllers controllers_{3, true, time_.timers};
};

TEST_F(LocalApicTest, ShowsItsRegisters) {
  EXPECT_EQ(cpu(2).read_register(reg::id), 2u << 24);
  EXPECT_EQ(cpu(0).read_register(reg::version), 0x50014u);
  EXPECT_EQ(cpu(0).read_register(reg::destination_format), 0xffffffffu);
  EXPECT_EQ(cpu(0).read_register(reg::lvt_timer), masked);
  cpu(0).write_register(reg::lvt_timer, 0xffffffff);
  EXPECT_EQ(cpu(0).read_register(reg::lvt_timer), 0x300ffu);
}

TEST_F(LocalApicTest, PeriodicTimerTicksOnItsGrid) {
  cpu(0).write_register(reg::divide, divide_by_1);
  cpu(0).write_register(reg::lvt_timer, periodic | 0x40);
  cpu(0).write_register(reg::initial_count, 999);
  const std::int64_t begin = time_.virtual_ns;
  EXPECT_EQ(controllers_.apic_state(0).timer_expiry, begin + 1000);
  time_.advance(999);
  expect_nothing(0);
  EXPECT_EQ(cpu(0).read_register(reg::current_count), 0u);
  time_.advance(1);
  expect_interrupt(0, 0x40);
  EXPECT_EQ(controllers_.apic_state(0).timer_expiry, begin + 2000);
  EXPECT_EQ(controllers_.apic_state(0).next_time, begin + 2000);
  EXPECT_EQ(cpu(0).read_register(reg::current_count), 999u);

  // While it is served the next one waits, and several that were missed are one.
  time_.advance(3500);
  expect_nothing(0);
  EXPECT_EQ(controllers_.apic_state(0).timer_expiry, begin + 5000);
  cpu(0).write_register(reg::eoi, 0);
  expect_interrupt(0, 0x40);
  cpu(0).write_register(reg::eoi, 0);
  expect_nothing(0);
}

TEST_F(LocalApicTest, OneShotTimerFiresOnce) {
  cpu(0).write_register(reg::divide, 0);  // by 2
  cpu(0).write_register(reg::lvt_timer, 0x41);
  cpu(0).write_register(reg::initial_count, 100);
  time_.advance(100);
  EXPECT_EQ(cpu(0).read_register(reg::current_count), 50u);
  time_.advance(102);
  expect_interrupt(0, 0x41);
  EXPECT_EQ(controllers_.apic_state(0).timer_expiry, ApicState::not_armed);
  EXPECT_EQ(cpu(0).read_register(reg::current_count), 0u);
}

TEST_F(LocalApicTest, MaskedOrStoppedTimerIsSilent) {
  cpu(0).write_register(reg::divide, divide_by_1);
  cpu(0).write_register(reg::lvt_timer, periodic | masked | 0x40);
  cpu(0).write_register(reg::initial_count, 999);
  time_.advance(5000);
  expect_nothing(0);
  cpu(0).write_register(reg::lvt_timer, periodic | 0x40);
  time_.advance(1000);
  expect_interrupt(0, 0x40);
  cpu(0).write_register(reg::eoi, 0);
  cpu(0).write_register(reg::initial_count, 0);
  EXPECT_EQ(controllers_.apic_state(0).timer_expiry, ApicState::not_armed);
  time_.advance(5000);
  expect_nothing(0);
}

TEST_F(LocalApicTest, LoadedTimerGoesOnWhereItWas) {
  ApicState state = reset_apic(0);
  state.spurious_vector = enable;
  state.lvt[ApicState::timer] = periodic | 0x40;
  state.initial_count = 999;
  state.count_shift = 0;
  state.divide_configuration = divide_by_1;
  state.initial_count_load_time = time_.virtual_ns - 500;
  state.timer_expiry = state.next_time = time_.virtual_ns + 300;
  controllers_.apic_state(0) = state;
  controllers_.after_load_apic(0);
  time_.advance(299);
  expect_nothing(0);
  time_.advance(1);
  expect_interrupt(0, 0x40);
}

TEST_F(LocalApicTest, SurvivesTimesOutOfTheWorld) {
  for (const std::int64_t odd : {INT64_MIN, std::int64_t{-1}, INT64_MAX}) {
    ApicState state = reset_apic(0);
    state.spurious_vector = enable;
    state.lvt[ApicState::timer] = periodic | 0x40;
    state.initial_count = 0xffffffff;
    state.divide_configuration = 0xa;
    state.initial_count_load_time = odd;
    state.next_time = odd;
    state.timer_expiry = 0;
    controllers_.apic_state(0) = state;
    controllers_.after_load_apic(0);
    time_.advance(1);
    expect_interrupt(0, 0x40);
    EXPECT_GT(controllers_.apic_state(0).timer_expiry, time_.virtual_ns);
  }
}

TEST_F(LocalApicTest, HigherClassesInterruptLowerOnes) {
  send(0, 0, 0x4045);
  expect_interrupt(0, 0x45);
  EXPECT_EQ(cpu(0).read_register(reg::processor_priority), 0x40u);
  send(0, 0, 0x404f);  // the same class
  expect_nothing(0);
  send(0, 0, 0x4051);
  expect_interrupt(0, 0x51);
  cpu(0).write_register(reg::eoi, 0);
  expect_nothing(0);
  cpu(0).write_register(reg::eoi, 0);
  expect_interrupt(0, 0x4f);
  cpu(0).write_register(reg::eoi, 0);

  cpu(0).write_register(reg::task_priority, 0x60);
  send(0, 0, 0x4061);
  expect_nothing(0);
  cpu(0).write_register(reg::task_priority, 0x50);
  expect_interrupt(0, 0x61);
}

TEST_F(LocalApicTest, SendsToIdsLogicalDestinationsAndShorthands) {
  send(0, 1, 0x4040);
  expect_interrupt(1, 0x40);
  expect_nothing(2);
  cpu(1).write_register(reg::eoi, 0);

  for (unsigned i = 0; i < 3; ++i) cpu(i).write_register(reg::logical_destination, 1u << (24 + i));
  send(0, 6, 0x4841);
  expect_nothing(0);
  expect_interrupt(1, 0x41);
  expect_interrupt(2, 0x41);
  cpu(1).write_register(reg::eoi, 0);
  cpu(2).write_register(reg::eoi, 0);

  cpu(2).write_register(reg::destination_format, 0x0fffffff);  // clusters
  cpu(2).write_register(reg::logical_destination, 0x32000000);
  send(0, 0x33, 0x4842);
  expect_interrupt(2, 0x42);
  cpu(2).write_register(reg::eoi, 0);

  send(1, 0, 0x44043);  // self
  expect_interrupt(1, 0x43);
  send(1, 0, 0xc4044);  // all others
  expect_interrupt(0, 0x44);
  expect_interrupt(2, 0x44);
  expect_nothing(1);
  send(1, 0, 0x84055);  // all
  for (unsigned i = 0; i < 3; ++i) expect_interrupt(i, 0x55);
}

TEST_F(LocalApicTest, LowestPriorityGoesToOne) {
  for (unsigned i = 0; i < 3; ++i) cpu(i).write_register(reg::logical_destination, 1u << (24 + i));
  cpu(0).write_register(reg::task_priority, 0x20);
  cpu(1).write_register(reg::task_priority, 0x10);
  cpu(2).write_register(reg::task_priority, 0x20);
  send(0, 7, 0x4940);
  expect_nothing(0);
  expect_interrupt(1, 0x40);
  expect_nothing(2);
}

TEST_F(LocalApicTest, InitAndStartUpWakeAWaitingProcessor) {
  controllers_.apic_state(1).wait_for_sipi = 1;
  send(0, 1, 0x4040);  // an interrupt does not
  expect_nothing(1);
  send(0, 1, 0xc500);
  ASSERT_TRUE(cpu(1).has_event(false));
  EXPECT_EQ(cpu(1).take(false).kind, Kind::init);
  EXPECT_TRUE(cpu(1).waits_for_start());
  send(0, 1, 0x8500);  // the end of INIT is nothing
  EXPECT_FALSE(cpu(1).has_event(false));
  send(0, 1, 0x4612);
  const VcpuEvent start = cpu(1).take(false);
  EXPECT_EQ(start.kind, Kind::start);
  EXPECT_EQ(start.vector, 0x12);
  EXPECT_FALSE(cpu(1).waits_for_start());
  send(0, 1, 0x4613);  // the second one, which systems send, does not start it anew
  EXPECT_FALSE(cpu(1).has_event(true));
}

TEST_F(LocalApicTest, NonMaskableInterruptsComeWithInterruptsOff) {
  send(0, 1, 0x4400);
  ASSERT_TRUE(cpu(1).has_event(false));
  EXPECT_EQ(cpu(1).take(false).kind, Kind::nmi);
}

TEST_F(LocalApicTest, ReportsVectorsThatAreNone) {
  cpu(0).write_register(reg::lvt_error, 0x70);
  send(0, 0, 0x4005);
  expect_interrupt(0, 0x70);
  cpu(0).write_register(reg::error_status, 0);
  EXPECT_EQ(cpu(0).read_register(reg::error_status), 0x20u);
  cpu(0).write_register(reg::error_status, 0);
  EXPECT_EQ(cpu(0).read_register(reg::error_status), 0u);
  cpu(0).write_register(reg::lvt_error, 0x05);  // an error about errors ends
  send(0, 0, 0x4005);
}

TEST_F(LocalApicTest, GivesBackWhatWasTakenButNotEntered) {
  send(0, 0, 0x4040);
  expect_interrupt(0, 0x40);
  EXPECT_FALSE(cpu(0).give_back(0x41));
  EXPECT_TRUE(cpu(0).give_back(0x40));
  expect_interrupt(0, 0x40);
}

TEST_F(LocalApicTest, LevelTriggeredPinIsServedUntilTheLineFalls) {
  controllers_.write_ioapic(0, 0x10 + 2 * 10);
  controllers_.write_ioapic(0x10, 0x8000 | 0x35);
  controllers_.set_line(10, true);
  expect_interrupt(0, 0x35);
  EXPECT_EQ(controllers_.read_ioapic(0x10), 0xc035u);  // remote IRR
  cpu(0).write_register(reg::eoi, 0);
  expect_interrupt(0, 0x35);
  controllers_.set_line(10, false);
  cpu(0).write_register(reg::eoi, 0);
  expect_nothing(0);
  EXPECT_EQ(controllers_.read_ioapic(0x10), 0x8035u);
}

TEST_F(LocalApicTest, EdgeTriggeredPinIsServedOncePerEdge) {
  controllers_.set_line(4, true);  // masked: lost
  controllers_.set_line(4, false);
  controllers_.write_ioapic(0, 0x10 + 2 * 4);
  controllers_.write_ioapic(0x10, 0x34);
  controllers_.write_ioapic(0, 0x11 + 2 * 4);
  controllers_.write_ioapic(0x10, 1u << 24);
  expect_nothing(1);
  controllers_.set_line(4, true);
  expect_interrupt(1, 0x34);
  cpu(1).write_register(reg::eoi, 0);
  controllers_.set_line(4, true);
  expect_nothing(1);
  controllers_.set_line(4, false);
  controllers_.set_line(4, true);
  expect_interrupt(1, 0x34);
}

TEST_F(LocalApicTest, IoapicShowsItself) {
  controllers_.write_ioapic(0, 1);
  EXPECT_EQ(controllers_.read_ioapic(0x10), 0x170020u);
  controllers_.write_ioapic(0, 0);
  controllers_.write_ioapic(0x10, 5u << 24);
  EXPECT_EQ(controllers_.read_ioapic(0x10), 5u << 24);
  controllers_.write_ioapic(0, 0x10);
  EXPECT_EQ(controllers_.read_ioapic(0x10), masked);
}

TEST_F(LocalApicTest, ExternalInterruptsPassLint0) {
  PortDevice& pic = controllers_.master_ports();
  for (const auto& [port, value] : {std::pair{0, 0x11}, {1, 0x20}, {1, 0x04}, {1, 0x01}, {1, 0x00}})
    pic.write(static_cast<unsigned>(port), static_cast<std::uint8_t>(value));
  controllers_.set_line(4, true);
  expect_nothing(0);  // LINT0 is masked
  cpu(0).write_register(reg::lvt_lint0, 0x700);
  expect_nothing(1);
  expect_interrupt(0, 0x24);
}

TEST_F(LocalApicTest, WakesWhoHasSomethingToDo) {
  int woken = 0;
  cpu(1).set_wake([&] { ++woken; });
  send(0, 0, 0x4040);
  EXPECT_EQ(woken, 0);
  send(0, 1, 0x4040);
  EXPECT_GT(woken, 0);
}

}  // namespace
}  // namespace godwit::vm
