// Guests of a few instructions, executed by Unicorn with interrupt controllers in software.
#include <condition_variable>
#include <cstring>
#include <gtest/gtest.h>
#include <optional>
#include <vector>

#include <godwit/dirty_tracker.h>

#include "vm/accel/unicorn/unicorn_accelerator.h"
#include "vm/accel/vcpu_set.h"
#include "vm/devices/software_chips.h"
#include "vm/testing/virtual_time.h"

namespace godwit::vm {
namespace {

using Code = std::vector<std::uint8_t>;

constexpr std::uint64_t code_at = 0x1000, handler_at = 0x2000, idt_at = 0x3000, gdt_at = 0x4000,
                        counter_at = 0x5000, stack_top = 0x8000, start_at = 0x9000;
constexpr std::uint16_t sign_port = 0x77;

/// Ports that tell the test what the guest does.
class SignBus final : public Bus {
 public:
  std::uint32_t read_port(std::uint16_t, unsigned) override { return 0; }
  void write_port(std::uint16_t port, unsigned, std::uint32_t value) override {
    if (port != sign_port) return;
    const std::lock_guard lock(mutex_);
    signs_.push_back(static_cast<std::uint8_t>(value));
    changed_.notify_all();
  }
  void read_memory(std::uint64_t, std::span<std::byte> into) override {
    std::ranges::fill(into, std::byte{0xff});
  }
  void write_memory(std::uint64_t, std::span<const std::byte>) override {}

  void wait_for(std::uint8_t sign, std::size_t count = 1) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return static_cast<std::size_t>(std::ranges::count(signs_, sign)) >= count; });
  }
  std::size_t count(std::uint8_t sign) {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::ranges::count(signs_, sign));
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint8_t> signs_;
};

class Observer final : public VcpuObserver {
 public:
  void on_vcpu_reset(unsigned) override {
    const std::lock_guard lock(mutex_);
    was_reset_ = true;
    changed_.notify_all();
  }
  void on_vcpu_error(unsigned, const Error& error) override { ADD_FAILURE() << error.what(); }
  void wait_for_reset() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return was_reset_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool was_reset_ = false;
};

class UnicornInterrupts : public ::testing::Test {
 protected:
  UnicornInterrupts() : ram_(0x100000), clock_(host_clock_) {
    const std::uint64_t gdt[] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff};
    std::memcpy(&ram_[gdt_at], gdt, sizeof gdt);
    // Every vector: sign 'H', end of interrupt, back.
    put(handler_at, {0x50, 0xb0, 'H',  0xe6, sign_port, 0xff, 0x05, 0x00, 0x50, 0x00, 0x00, 0xc7,
                     0x05, 0xb0, 0x00, 0xe0, 0xfe,      0x00, 0x00, 0x00, 0x00, 0x58, 0xcf});
    for (unsigned vector = 0; vector < 256; ++vector) set_gate(vector, handler_at);
  }
  ~UnicornInterrupts() override { vcpus_.shut_down(); }

  void put(std::uint64_t at, const Code& code) { std::memcpy(&ram_[at], code.data(), code.size()); }
  void set_gate(unsigned vector, std::uint64_t handler) {
    const std::uint64_t gate = (handler & 0xffff) | 0x08ull << 16 | 0x8e00ull << 32;
    std::memcpy(&ram_[idt_at + vector * 8], &gate, sizeof gate);
  }
  std::uint32_t counter() {
    std::uint32_t value;
    std::memcpy(&value, &ram_[counter_at], sizeof value);
    return value;
  }

  static CpuState protected_mode() {
    CpuState state = reset_cpu(0);
    state.cr0 = 0x11;
    constexpr std::uint32_t data = 0xc09300, code = 0xc09b00;
    for (Segment& segment : state.segments) segment = {0x10, 0, 0xffffffff, data};
    state.segments[cs] = {0x08, 0, 0xffffffff, code};
    state.gdt = {0, gdt_at, 0x17, 0};
    state.idt = {0, idt_at, 0x7ff, 0};
    state.rip = code_at;
    state.registers[rsp] = stack_top;
    return state;
  }

  void start(const Code& code, unsigned count = 1, const std::function<void(CpuState&)>& adjust = {}) {
    put(code_at, code);
    auto opened = UnicornAccelerator::open();
    ASSERT_TRUE(opened);
    accelerator_ = std::move(*opened);
    const RamSlot slot{0, ram_.size(), ram_.data(), 0, 0};
    ASSERT_TRUE(accelerator_->map_ram(std::span(&slot, 1)));
    ASSERT_TRUE(vcpus_.create(*accelerator_, count, bus_, observer_));
    auto chips = accelerator_->create_chips({.clock = clock_, .timers = &time_.timers});
    ASSERT_TRUE(chips);
    chips_ = std::move(*chips);
    for (unsigned i = 0; i < count; ++i) {
      CpuState state = i == 0 ? protected_mode() : reset_cpu(i);
      if (adjust) adjust(state);
      ApicState apic = reset_apic(i);
      apic.spurious_vector = 0x1ff;
      ASSERT_TRUE(chips_->set_apic(i, apic));
      vcpus_[i].call([&](Vcpu& vcpu) { ASSERT_TRUE(vcpu.set_state(state)); });
    }
    vcpus_.resume();
  }
  /// As another processor, or a device, would.
  void send(std::uint8_t vector) {
    auto& controllers = static_cast<SoftwareChips&>(*chips_);
    controllers.processor(0).write_register(0x310, 0);
    controllers.processor(0).write_register(0x300, 0x4000u | vector);
  }
  CpuState state(unsigned index = 0) {
    Result<CpuState> state;
    vcpus_[index].call([&](Vcpu& vcpu) { state = vcpu.state(); });
    return state.value();
  }

  std::vector<std::byte> ram_;
  SteadyClock host_clock_;
  GuestClock clock_;
  testing::VirtualTime time_;
  SignBus bus_;
  Observer observer_;
  std::unique_ptr<UnicornAccelerator> accelerator_;
  std::unique_ptr<InterruptChips> chips_;
  VcpuSet vcpus_;
};

TEST_F(UnicornInterrupts, ReachALoop) {
  start({0xfb, 0xb0, 'S', 0xe6, sign_port, 0xeb, 0xfe});  // sti; 'S'; loop
  bus_.wait_for('S');
  for (std::size_t i = 1; i <= 10; ++i) {
    send(0x40);
    bus_.wait_for('H', i);
  }
  vcpus_.stop();
  EXPECT_EQ(counter(), 10u);
  EXPECT_EQ(state().registers[rsp], stack_top);
}

TEST_F(UnicornInterrupts, WakeAHaltedProcessor) {
  start({0xfb, 0xf4, 0xfa, 0xb0, 'W', 0xe6, sign_port, 0xeb, 0xf7});  // sti; hlt; cli; 'W'; again
  for (std::size_t i = 1; i <= 10; ++i) {
    send(0x40);
    bus_.wait_for('W', i);
  }
  vcpus_.stop();
  const CpuState stopped = state();
  const bool is_behind_hlt = stopped.rip == code_at + 2;
  EXPECT_EQ(stopped.halted, is_behind_hlt ? 1u : 0u);
  EXPECT_EQ(stopped.mp_state, is_behind_hlt ? mp_state::halted : mp_state::runnable);
  EXPECT_EQ(counter(), 10u);
}

TEST_F(UnicornInterrupts, WaitWhileTheyAreOff) {
  // 'A', then 100000 turns with interrupts off, then 'B' and on.
  start({0xb0, 'A', 0xe6, sign_port, 0xb9, 0xa0, 0x86, 0x01, 0x00, 0xe2, 0xfe, 0xb0, 'B', 0xe6, sign_port,
         0xfb, 0xeb, 0xfe});
  send(0x40);
  bus_.wait_for('H');
  EXPECT_EQ(bus_.count('B'), 1u);
}

TEST_F(UnicornInterrupts, DoNotComeRightBehindSti) {
  // sti; cli; count; again: interrupts are never really on.
  start({0xfb, 0xfa, 0xb0, 'S', 0xe6, sign_port, 0xeb, 0xf8});
  send(0x40);
  bus_.wait_for('S', 2000);
  EXPECT_EQ(bus_.count('H'), 0u);
  vcpus_.stop();
  EXPECT_NE(state().interrupt_request, 0u) << "it is still pending";
}

TEST_F(UnicornInterrupts, ComeToALoopThatLooksShadowed) {
  // mov al, 0xfb; loop to here: the byte in front of the loop is that of STI.
  start({0xfb, 0x90, 0xb0, 'S', 0xe6, sign_port, 0xb0, 0xfb, 0xeb, 0xfe});
  bus_.wait_for('S');
  send(0x40);
  bus_.wait_for('H');
}

TEST_F(UnicornInterrupts, SoftwareInterruptsAndExceptionsAreDelivered) {
  set_gate(6, 0x2100);  // skips the two bytes of UD2
  put(0x2100, {0x83, 0x04, 0x24, 0x02, 0xb0, 'U', 0xe6, sign_port, 0xcf});
  set_gate(0, 0x2200);  // the divisor becomes 1
  put(0x2200, {0xb9, 0x01, 0x00, 0x00, 0x00, 0x50, 0xb0, 'D', 0xe6, sign_port, 0x58, 0xcf});
  // int 0x80; int3; ud2; xor ecx, ecx; div ecx (twice); 'E'; loop
  start({0xcd, 0x80, 0xcc, 0x0f, 0x0b, 0x31, 0xd2, 0x31, 0xc9,      0xf7, 0xf1, 0x31,
         0xc9, 0x31, 0xd2, 0xf7, 0xf1, 0xb0, 'E',  0xe6, sign_port, 0xeb, 0xfe});
  bus_.wait_for('E');
  EXPECT_EQ(bus_.count('H'), 2u);
  EXPECT_EQ(bus_.count('U'), 1u);
  EXPECT_EQ(bus_.count('D'), 2u);
}

TEST_F(UnicornInterrupts, TripleFaultResets) {
  start({0xcc}, 1, [](CpuState& state) { state.idt.limit = 0; });
  observer_.wait_for_reset();
}

TEST_F(UnicornInterrupts, InjectedOnesOfASenderAreNotLost) {
  // The vector was taken from the controller but not entered; and one that the controller does not know.
  start({0xfb, 0xeb, 0xfe}, 1, [](CpuState& state) {
    state.interrupt_injected = 0x55;
    state.rflags |= 0x200;
  });
  bus_.wait_for('H');
}

TEST_F(UnicornInterrupts, InitAndStartUpStartTheSecondProcessor) {
  // In real mode: 'R', a locked increment of the counter 100000 times, 'F', hlt.
  put(start_at, {0xb0, 'R',  0xe6, sign_port, 0xb9, 0xa0, 0x86, 0x31, 0xc0,      0x8e, 0xd8,
                 0x66, 0xb9, 0xa0, 0x86,      0x01, 0x00, 0xf0, 0x66, 0xff,      0x06, 0x00,
                 0x50, 0x66, 0x49, 0x75,      0xf6, 0xb0, 'F',  0xe6, sign_port, 0xf4});
  // ICR: INIT and SIPI to 1; then the same increments; 'G'; loop.
  start({0xc7, 0x05, 0x10, 0x03, 0xe0, 0xfe, 0x00, 0x00, 0x00, 0x01,      0xc7, 0x05, 0x00,
         0x03, 0xe0, 0xfe, 0x00, 0xc5, 0x00, 0x00, 0xc7, 0x05, 0x00,      0x03, 0xe0, 0xfe,
         0x09, 0x46, 0x00, 0x00, 0xb9, 0xa0, 0x86, 0x01, 0x00, 0xf0,      0xff, 0x05, 0x00,
         0x50, 0x00, 0x00, 0x49, 0x75, 0xf6, 0xb0, 'G',  0xe6, sign_port, 0xeb, 0xfe},
        2);
  bus_.wait_for('R');
  bus_.wait_for('F');
  bus_.wait_for('G');
  EXPECT_EQ(counter(), 200'000u) << "locked instructions of two processors";
  vcpus_.stop();
  EXPECT_EQ(state(1).halted, 1u);
  EXPECT_EQ(state(1).mp_state, mp_state::halted);
}

TEST_F(UnicornInterrupts, ClockOfKvmIsRefused) {
  start({0xeb, 0xfe});
  vcpus_.stop();
  CpuState other = protected_mode();
  other.kvm_system_time = 0x1001;
  vcpus_[0].call([&](Vcpu& vcpu) { EXPECT_FALSE(vcpu.set_state(other)); });
}

}  // namespace
}  // namespace godwit::vm
