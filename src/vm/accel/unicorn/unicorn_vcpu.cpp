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

}  // namespace

Result<std::unique_ptr<Vcpu>> UnicornVcpu::create(unsigned index, const MemoryMap& memory, Bus& bus) {
  GODWIT_ASSIGN(auto reader, StateReader::create());
  return std::unique_ptr<Vcpu>(new UnicornVcpu(index, memory, bus, std::move(reader)));
}

Result<> UnicornVcpu::open_engine() {
  breakpoint_.reset();
  passed_breakpoint_ = nowhere;
  engine_.reset();
  GODWIT_ASSIGN(engine_, UnicornEngine::open(engine_mode_of(state_), memory_.slots(), bus_, *this));
  return load_state(*engine_, state_);
}

Result<> UnicornVcpu::set_state(const CpuState& state) {
  state_ = state;
  waiting_ =
      state.halted != 0 || state.mp_state == mp_state::uninitialized || state.mp_state == mp_state::halted;
  if (is_compatibility_code(state)) return fail("Unicorn cannot execute 32-bit code in long mode");
  return open_engine();
}

Result<CpuState> UnicornVcpu::state() {
  GODWIT_TRY(read_state());
  return state_;
}

Result<> UnicornVcpu::read_state() {
  if (engine_) GODWIT_TRY(reader_.read(*engine_, memory_, state_));
  state_.halted = waiting_;
  return {};
}

void UnicornVcpu::on_block(std::uint64_t linear, std::uint32_t size) {
  if (interrupted_.load(std::memory_order_acquire)) {
    stopped_ = true;
    engine_->stop();
    return;
  }
  if (engine_->mode() == EngineMode::wide || size == 0) return;
  // Only on the way into long mode.
  std::array<std::byte, 4096> code;
  const auto block = std::span(code).first(std::min<std::size_t>(size, code.size()));
  memory_.read(linear, block);
  const bool passed = std::exchange(passed_breakpoint_, nowhere) == linear;
  const auto found = find_system_instruction(block, passed ? 1 : 0);
  const auto at = found ? std::optional(linear + *found) : std::nullopt;
  if (!at || at == breakpoint_) return;
  breakpoint_ = at;
  stopped_ = true;
  engine_->stop();
  block_ = {linear, size};
}

void UnicornVcpu::on_syscall() {
  called_kernel_ = true;
  engine_->stop();
}

Result<VcpuExit> UnicornVcpu::run() {
  if (waiting_ || !engine_) return VcpuExit::halted;
  for (;;) {
    if (interrupted_.load(std::memory_order_acquire)) return VcpuExit::interrupted;
    GODWIT_ASSIGN(const auto exit, go_on());
    if (exit) return *exit;
  }
}

/// One run of the engine, to its next stop.
Result<std::optional<VcpuExit>> UnicornVcpu::go_on() {
  GODWIT_TRY(choose_engine());
  stopped_ = called_kernel_ = false;
  const auto breakpoint = breakpoint_;
  // Code that was translated without the breakpoint would run past it.
  if (breakpoint) engine_->forget(block_.begin, block_.begin + block_.size);
  const uc_err error = engine_->run(breakpoint.value_or(nowhere), 0);
  if (called_kernel_) return fail("Unicorn: vCPU {} made a system call, which it cannot execute", index_);
  if (error != UC_ERR_OK) {
    GODWIT_TRY(explain(error));
    return std::nullopt;
  }
  if (stopped_) return std::nullopt;
  GODWIT_TRY(read_state());
  if (breakpoint && linear_rip() == *breakpoint) {
    GODWIT_TRY(at_breakpoint());
  } else if (is_at_halt()) {
    waiting_ = true;
    return VcpuExit::halted;
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

Result<> UnicornVcpu::explain(uc_err error) {
  GODWIT_TRY(read_state());
  CpuState next = state_;
  if (error == UC_ERR_INSN_INVALID && interpret_system_instruction(next, memory_)) return follow(next);
  return fail("Unicorn: vCPU {} cannot go on at rip {:#x}: {} (it delivers no exceptions to the guest)",
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
