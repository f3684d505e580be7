#include "vm/accel/unicorn/unicorn_vcpu.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/fail.h"
#include "vm/accel/unicorn/page_walk.h"
#include "vm/accel/unicorn/system_instructions.h"

namespace godwit::vm {
namespace {

constexpr std::byte hlt_opcode{0xf4};
constexpr std::uint8_t invalid_opcode = 6;

/// A translator's segment flags have limit bits that say who sent them: the next receiver is not to take us
/// for that one, whose x87 registers are in another order.
void drop_limit_bits(CpuState& state) {
  constexpr std::uint32_t limit = 0xf << 16;
  for (Segment& segment : state.segments) segment.flags &= ~limit;
  for (Segment* segment : {&state.ldt, &state.tr, &state.gdt, &state.idt}) segment->flags &= ~limit;
}

/// In real mode Unicorn knows no base but the selector's. The one that reset leaves in CS shows the same
/// firmware as that.
Result<> use_bases_of_selectors(CpuState& state) {
  if (state.cr0 & cr0_bit::protection) return {};
  constexpr std::uint64_t reset_base = 0xffff0000;
  for (Segment& segment : state.segments) {
    const std::uint64_t base = std::uint64_t{segment.selector} << 4;
    const bool is_reset = &segment == &state.segments[cs] && segment.base == reset_base;
    if (segment.base != base && !is_reset)
      return fail("Unicorn cannot execute real mode code with the segment {:#x} at {:#x}", segment.selector,
                  segment.base);
    segment.base = base;
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<UnicornVcpu>> UnicornVcpu::create(unsigned index, const MemoryMap& memory, Bus& bus,
                                                         ExecutionTurn& turn) {
  GODWIT_ASSIGN(auto reader, StateReader::create());
  return std::unique_ptr<UnicornVcpu>(new UnicornVcpu(index, memory, bus, turn, std::move(reader)));
}

void UnicornVcpu::use_interrupts(VcpuInterrupts& interrupts) {
  interrupts_ = &interrupts;
  bus_.use_interrupts(interrupts);
  interrupts.set_wake([this] { wake(); });
}

Result<> UnicornVcpu::open_engine() {
  breakpoint_.reset();
  passed_breakpoint_ = nowhere;
  engine_.reset();
  GODWIT_TRY(use_bases_of_selectors(state_));
  GODWIT_ASSIGN(engine_, UnicornEngine::open(engine_mode_of(state_), memory_.slots(), bus_, *this));
  return load_state(*engine_, state_);
}

Result<> UnicornVcpu::set_state(const CpuState& state) {
  state_ = state;
  drop_limit_bits(state_);
  waiting_ =
      state.halted != 0 || state.mp_state == mp_state::uninitialized || state.mp_state == mp_state::halted;
  agreed_on_start_ = false;
  was_shadowed_ = may_enter_ = false;
  if (state.kvm_system_time & 1)
    return fail("the guest reads the clock of KVM, which emulation has not: give the vCPUs kvmclock=off");
  if (is_compatibility_code(state)) return fail("Unicorn cannot execute 32-bit code in long mode");
  return open_engine();
}

Result<CpuState> UnicornVcpu::state() {
  agree_on_start();
  GODWIT_TRY(read_state());
  constexpr std::uint32_t external_interrupt = 1u << 1;
  state_.interrupt_request = interrupts_ && interrupts_->has_event(true) ? external_interrupt : 0;
  state_.interrupt_shadow =
      are_interrupts_enabled() && !was_shadowed_ && is_behind_shadowing_instruction(linear_rip());
  return state_;
}

Result<> UnicornVcpu::read_state() {
  if (engine_) GODWIT_TRY(reader_.read(*engine_, memory_, state_));
  state_.halted = waiting_;
  if (interrupts_)
    state_.mp_state = !waiting_                        ? mp_state::runnable
                      : interrupts_->waits_for_start() ? mp_state::uninitialized
                                                       : mp_state::halted;
  return {};
}

void UnicornVcpu::on_block(std::uint64_t linear, std::uint32_t size) {
  if (attention_.load(std::memory_order_acquire) && must_stop_at(linear)) {
    stopped_ = true;
    engine_->stop();
    return;
  }
  if (engine_->mode() == EngineMode::wide || size == 0) return;
  // Only on the way into long mode.
  std::array<std::byte, 4096> code;
  const auto block = std::span(code).first(std::min<std::size_t>(size, code.size()));
  memory_.read(linear, block);
  const bool passed = passed_breakpoint_ == linear;
  const auto found = find_system_instruction(block, passed ? 1 : 0);
  const auto at = found ? std::optional(linear + *found) : std::nullopt;
  if (!at || at == breakpoint_) {
    passed_breakpoint_ = nowhere;
    return;
  }
  breakpoint_ = at;
  stopped_ = true;
  was_shadowed_ = false;  // this block is going to be looked at again
  engine_->stop();
  block_ = {linear, size};
}

void UnicornVcpu::on_syscall() {
  called_kernel_ = true;
  engine_->stop();
}

void UnicornVcpu::on_exception(std::uint32_t vector) {
  exception_ = static_cast<std::uint8_t>(vector);
  engine_->stop();
}

Result<VcpuExit> UnicornVcpu::run() {
  if (!engine_ || (waiting_ && !interrupts_)) return VcpuExit::halted;
  agree_on_start();
  attention_.store(true, std::memory_order_release);
  for (;;) {
    if (interrupted_.load(std::memory_order_acquire)) return VcpuExit::interrupted;
    if (interrupts_) {
      // INIT and SIPI may both be there already, with one call of wake().
      if (waiting_ && !interrupts_->has_event(are_interrupts_enabled())) wait_for_event();
      GODWIT_ASSIGN(const auto exit, take_events());
      if (exit) return *exit;
      if (waiting_) continue;
    }
    GODWIT_ASSIGN(const auto exit, go_on());
    if (exit) return *exit;
  }
}

/// One run of the engine, to its next stop.
Result<std::optional<VcpuExit>> UnicornVcpu::go_on() {
  GODWIT_TRY(choose_engine());
  stopped_ = called_kernel_ = false;
  exception_.reset();
  const auto breakpoint = breakpoint_;
  // Code that was translated without the breakpoint would run past it.
  if (breakpoint) engine_->forget(block_.begin, block_.begin + block_.size);
  turn_.take(*this);
  const uc_err error = engine_->run(breakpoint.value_or(nowhere), 0);
  turn_.give_back();
  return after_stop(error, breakpoint);
}

Result<std::optional<VcpuExit>> UnicornVcpu::after_stop(uc_err error,
                                                        std::optional<std::uint64_t> breakpoint) {
  if (called_kernel_) return fail("Unicorn: vCPU {} made a system call, which it cannot execute", index_);
  if (exception_) return raise(*exception_);
  if (error != UC_ERR_OK) return explain(error);
  if (stopped_) return std::nullopt;
  GODWIT_TRY(read_state());
  if (breakpoint && linear_rip() == *breakpoint) {
    GODWIT_TRY(at_breakpoint());
  } else if (is_at_halt()) {
    waiting_ = true;
    if (!interrupts_) return VcpuExit::halted;
  }
  return std::nullopt;
}

Result<> UnicornVcpu::at_breakpoint() {
  passed_breakpoint_ = *std::exchange(breakpoint_, std::nullopt);
  CpuState next = state_;
  return interpret_system_instruction(next, memory_) ? follow(next) : Result<>();
}

/// A guest that went from 16-bit to 32-bit code needs the other engine from the next start on.
Result<> UnicornVcpu::choose_engine() {
  if (engine_->mode() == EngineMode::wide) return {};
  GODWIT_TRY(read_state());
  if (engine_mode_of(state_) == engine_->mode()) return {};
  return open_engine();
}

/// Goes on in a state that was made here.
Result<> UnicornVcpu::follow(CpuState next) {
  while (is_compatibility_code(next))
    if (!interpret_system_instruction(next, memory_))
      return fail(
          "Unicorn: vCPU {} executes 16-bit or 32-bit code at {:#x} after it entered long mode, which cannot "
          "be "
          "followed",
          index_, next.rip);
  state_ = next;
  return open_engine();
}

Result<std::optional<VcpuExit>> UnicornVcpu::explain(uc_err error) {
  GODWIT_TRY(read_state());
  CpuState next = state_;
  if (error == UC_ERR_INSN_INVALID) {
    if (interpret_system_instruction(next, memory_)) {
      GODWIT_TRY(follow(next));
      return std::nullopt;
    }
    if (interrupts_) return deliver({.vector = invalid_opcode});
  }
  return fail(
      "Unicorn: vCPU {} cannot go on at or behind rip {:#x}: {} (this exception is not delivered to the "
      "guest)",
      index_, state_.rip, uc_strerror(error));
}

bool UnicornVcpu::is_at_halt() {
  std::array<std::byte, 1> before{};
  return read_linear(state_, memory_, linear_rip() - 1, before) && before[0] == hlt_opcode;
}

std::uint64_t UnicornVcpu::linear_rip() const {
  return (is_64_bit_code(state_) ? 0 : state_.segments[cs].base) + state_.rip;
}

}  // namespace godwit::vm
