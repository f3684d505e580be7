// How interrupts, exceptions and start-up reach a vCPU of Unicorn's.
#include <array>
#include <utility>

#include "base/fail.h"
#include "vm/accel/unicorn/page_walk.h"
#include "vm/accel/unicorn/system_instructions.h"
#include "vm/accel/unicorn/unicorn_vcpu.h"

namespace godwit::vm {
namespace {

constexpr std::uint32_t interrupts_enabled = 1u << 9;
constexpr std::uint8_t double_fault = 8, page_fault = 14;

/// Those after which Unicorn takes the next exception for a double fault, because it does not know that they
/// were delivered.
bool poisons_engine(std::uint8_t vector) {
  return vector == 0 || vector == double_fault || (vector >= 10 && vector <= page_fault);
}

}  // namespace

// ---- on any thread

void UnicornVcpu::interrupt() noexcept {
  interrupted_.store(true);
  wake();
}

void UnicornVcpu::ask_for_turn() noexcept {
  turn_wanted_.store(true);
  attention_.store(true);
}

void UnicornVcpu::wake() noexcept {
  attention_.store(true);
  {
    const std::lock_guard lock(wait_mutex_);
  }
  woken_.notify_all();
}

void UnicornVcpu::wait_for_event() {
  std::unique_lock lock(wait_mutex_);
  woken_.wait(lock, [this] { return attention_.exchange(false); });
}

// ---- when to stop

/// Out of the engine, before the block at this address.
bool UnicornVcpu::must_stop_at(std::uint64_t linear) {
  // First: what is set from now on asks anew.
  attention_.store(false);
  if (interrupted_.load() || turn_wanted_.exchange(false)) {
    attention_.store(true);
    return true;
  }
  if (!interrupts_ || !interrupts_->has_event(true)) {
    was_shadowed_ = false;
    return false;
  }
  attention_.store(true);
  return may_interrupt(linear) || interrupts_->has_event(false);
}

/// Whether a maskable interrupt may be entered in front of the instruction there. If not, it is executed.
bool UnicornVcpu::may_interrupt(std::uint64_t linear) {
  may_enter_ = false;
  const bool had_its_turn = std::exchange(was_shadowed_, false);
  if (!are_interrupts_enabled()) return false;
  state_.cr0 = engine_->read<std::uint64_t>(UC_X86_REG_CR0);
  state_.cr3 = engine_->read<std::uint64_t>(UC_X86_REG_CR3);
  state_.cr4 = engine_->read<std::uint64_t>(UC_X86_REG_CR4);
  // The bytes before it may also belong to something else, or have been jumped over. That delays an interrupt
  // by one block, and never by two.
  was_shadowed_ = !had_its_turn && is_behind_shadowing_instruction(linear);
  may_enter_ = !was_shadowed_;
  return may_enter_;
}

bool UnicornVcpu::are_interrupts_enabled() const {
  return (engine_->read<std::uint32_t>(UC_X86_REG_EFLAGS) & interrupts_enabled) != 0;
}

/// STI, MOV to SS and POP SS hold interrupts off for one instruction. The engine ends a block behind each.
bool UnicornVcpu::is_behind_shadowing_instruction(std::uint64_t linear) const {
  std::array<std::byte, 2> before{};
  if (linear < before.size() || !read_linear(state_, memory_, linear - before.size(), before)) return false;
  constexpr std::byte sti{0xfb}, pop_ss{0x17}, mov_to_segment{0x8e};
  const bool is_mov_ss = before[0] == mov_to_segment && (before[1] & std::byte{0xf8}) == std::byte{0xd0};
  return before[1] == sti || is_mov_ss || (before[1] == pop_ss && !is_64_bit_code(state_));
}

// ---- what there is to do

/// Says once after a state was set what each of vCPU and controller may know alone.
void UnicornVcpu::agree_on_start() {
  if (!interrupts_ || std::exchange(agreed_on_start_, true)) return;
  if (state_.mp_state == mp_state::uninitialized) {
    interrupts_->wait_for_start();
  } else if (interrupts_->waits_for_start()) {
    waiting_ = true;
  }
  // What a sender had taken from its controller without entering it goes back there.
  if (state_.interrupt_injected >= 0 && !state_.soft_interrupt &&
      interrupts_->give_back(static_cast<std::uint8_t>(state_.interrupt_injected)))
    state_.interrupt_injected = -1;
}

Result<std::optional<VcpuExit>> UnicornVcpu::take_events() {
  if (!waiting_ && state_.interrupt_injected >= 0) {
    GODWIT_TRY(read_state());
    const auto vector = static_cast<std::uint8_t>(std::exchange(state_.interrupt_injected, -1));
    return deliver({.vector = vector, .software = state_.soft_interrupt != 0});
  }
  if (!interrupts_->has_event(true)) return std::nullopt;
  // A vCPU that executes is asked by on_block(); one that halted is between two instructions as it is.
  const bool interruptible = waiting_ ? are_interrupts_enabled() : std::exchange(may_enter_, false);
  if (!waiting_) attention_.store(true);
  if (!interrupts_->has_event(interruptible)) return std::nullopt;
  GODWIT_TRY(read_state());
  return take_event(interrupts_->take(interruptible));
}

Result<std::optional<VcpuExit>> UnicornVcpu::take_event(VcpuEvent event) {
  switch (event.kind) {
    case VcpuEvent::Kind::none:
      return std::nullopt;
    case VcpuEvent::Kind::init:
      GODWIT_TRY(initialize());
      return std::nullopt;
    case VcpuEvent::Kind::start:
      GODWIT_TRY(start_at(event.vector));
      return std::nullopt;
    case VcpuEvent::Kind::nmi:
    case VcpuEvent::Kind::interrupt:
      break;
  }
  waiting_ = false;
  return deliver({.vector = event.vector});
}

Result<> UnicornVcpu::initialize() {
  const CpuState before = std::exchange(state_, reset_cpu(index_));
  state_.tsc_aux = before.tsc_aux;
  waiting_ = interrupts_->waits_for_start();
  return open_engine();
}

Result<> UnicornVcpu::start_at(std::uint8_t vector) {
  Segment& code = state_.segments[cs];
  code.selector = static_cast<std::uint32_t>(vector) << 8;
  code.base = std::uint64_t{vector} << 12;
  state_.rip = 0;
  waiting_ = false;
  return open_engine();
}

// ---- delivery

/// An exception of the guest's code, or a software interrupt.
Result<std::optional<VcpuExit>> UnicornVcpu::raise(std::uint8_t vector) {
  GODWIT_TRY(read_state());
  if (!interrupts_)
    return fail(
        "Unicorn: vCPU {} cannot go on at rip {:#x}: exception {}, which is not delivered to the guest",
        index_, state_.rip, vector);
  if (is_software_interrupt(vector)) return deliver({.vector = vector, .software = true});
  Interruption what{.vector = vector};
  // Unicorn does not tell the error code. A page fault that it tells here is of an instruction fetch.
  if (has_error_code(vector)) what.error_code = 0;
  GODWIT_ASSIGN(const auto exit, deliver(what));
  if (!exit && poisons_engine(vector)) GODWIT_TRY(open_engine());
  return exit;
}

bool UnicornVcpu::is_software_interrupt(std::uint8_t vector) {
  std::array<std::byte, 2> before{};
  if (!read_linear(state_, memory_, linear_rip() - before.size(), before)) return false;
  constexpr std::byte int_n{0xcd}, int3{0xcc}, into{0xce};
  return (before[0] == int_n && before[1] == std::byte{vector}) || (vector == 3 && before[1] == int3) ||
         (vector == 4 && before[1] == into);
}

/// The state is up to date.
Result<std::optional<VcpuExit>> UnicornVcpu::deliver(const Interruption& what) {
  CpuState next = state_;
  if (!enter_interrupt(next, memory_, what) &&
      !enter_interrupt(next, memory_, {.vector = double_fault, .error_code = 0}))
    return VcpuExit::reset;
  GODWIT_TRY(go_to(next));
  return std::nullopt;
}

/// Within the same ring, an engine takes the new place as it is; another ring it does not get out of.
Result<> UnicornVcpu::go_to(const CpuState& next) {
  const bool same_ring = next.segments[cs] == state_.segments[cs] && next.segments[ss] == state_.segments[ss];
  state_ = next;
  if (!same_ring || engine_mode_of(state_) != engine_->mode()) return open_engine();
  // Where it goes on is none of the places it had stopped at.
  breakpoint_.reset();
  passed_breakpoint_ = nowhere;
  move_to(*engine_, state_);
  return {};
}

}  // namespace godwit::vm
