// One vCPU that Unicorn executes.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "vm/accel/accelerator.h"
#include "vm/accel/unicorn/apic_page_bus.h"
#include "vm/accel/unicorn/execution_turn.h"
#include "vm/accel/unicorn/interrupt_delivery.h"
#include "vm/accel/unicorn/unicorn_engine.h"
#include "vm/accel/unicorn/unicorn_state.h"
#include "vm/accel/vcpu_interrupts.h"
#include "vm/board/memory_map.h"

namespace godwit::vm {

class UnicornVcpu final : public Vcpu, private EngineClient, private TurnHolder {
 public:
  static Result<std::unique_ptr<UnicornVcpu>> create(unsigned index, const MemoryMap& memory, Bus& bus,
                                                     ExecutionTurn& turn);

  /// From where interrupts come; without, a vCPU that halts stays halted and exceptions are errors. Before
  /// the first state is set.
  void use_interrupts(VcpuInterrupts& interrupts);

  Result<> attach() override { return {}; }
  Result<VcpuExit> run() override;
  void interrupt() noexcept override;
  void clear_interrupt() noexcept override { interrupted_.store(false, std::memory_order_relaxed); }
  Result<CpuState> state() override;
  Result<> set_state(const CpuState& state) override;

 private:
  static constexpr std::uint64_t nowhere = ~std::uint64_t{0};

  UnicornVcpu(unsigned index, const MemoryMap& memory, Bus& bus, ExecutionTurn& turn, StateReader reader)
      : index_(index), memory_(memory), bus_(bus), turn_(turn), reader_(std::move(reader)) {}

  // EngineClient
  void on_block(std::uint64_t linear, std::uint32_t size) override;
  void on_syscall() override;
  void on_exception(std::uint32_t vector) override;
  // TurnHolder
  void ask_for_turn() noexcept override;

  Result<> read_state();
  Result<> open_engine();
  Result<> choose_engine();
  Result<std::optional<VcpuExit>> go_on();
  Result<std::optional<VcpuExit>> after_stop(uc_err error, std::optional<std::uint64_t> breakpoint);
  Result<> at_breakpoint();
  Result<> follow(CpuState next);
  Result<std::optional<VcpuExit>> explain(uc_err error);
  bool is_at_halt();
  std::uint64_t linear_rip() const;

  // Interrupts (unicorn_interrupts.cpp)
  bool must_stop_at(std::uint64_t linear);
  bool may_interrupt(std::uint64_t linear);
  bool is_behind_shadowing_instruction(std::uint64_t linear) const;
  bool are_interrupts_enabled() const;
  void agree_on_start();
  void wait_for_event();
  void wake() noexcept;
  Result<std::optional<VcpuExit>> take_events();
  Result<std::optional<VcpuExit>> take_event(VcpuEvent event);
  Result<std::optional<VcpuExit>> deliver(const Interruption& what);
  Result<std::optional<VcpuExit>> raise(std::uint8_t vector);
  bool is_software_interrupt(std::uint8_t vector);
  Result<> go_to(const CpuState& next);
  Result<> start_at(std::uint8_t vector);
  Result<> initialize();

  const unsigned index_;
  const MemoryMap& memory_;
  ApicPageBus bus_;
  ExecutionTurn& turn_;
  StateReader reader_;
  std::unique_ptr<UnicornEngine> engine_;
  CpuState state_;        ///< as loaded or read last
  bool waiting_ = false;  ///< for an interrupt or for start-up
  VcpuInterrupts* interrupts_ = nullptr;
  bool agreed_on_start_ = false;  ///< with the interrupt controller, since the state was set
  bool was_shadowed_ = false;     ///< an interrupt waits for one instruction to be executed
  bool may_enter_ = false;        ///< the engine stopped where a maskable interrupt may be entered

  /// One of what follows is set, or there may be an event: all that a block of code costs when it is not.
  std::atomic<bool> attention_ = false;
  std::atomic<bool> interrupted_ = false;
  std::atomic<bool> turn_wanted_ = false;
  std::mutex wait_mutex_;
  std::condition_variable woken_;

  // While the engine runs:
  bool stopped_ = false;                   ///< by on_block()
  bool called_kernel_ = false;             ///< by on_syscall()
  std::optional<std::uint8_t> exception_;  ///< by on_exception()
  /// Linear address at which an instruction may begin that is to be interpreted here; the engine stops there.
  std::optional<std::uint64_t> breakpoint_;
  struct {
    std::uint64_t begin = 0;
    std::uint64_t size = 0;
  } block_;                                    ///< the code that has the breakpoint; linear
  std::uint64_t passed_breakpoint_ = nowhere;  ///< where the engine goes on and needs not stop again
};

}  // namespace godwit::vm
