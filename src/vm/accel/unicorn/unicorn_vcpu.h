// One vCPU that Unicorn executes.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>

#include "vm/accel/accelerator.h"
#include "vm/accel/unicorn/unicorn_engine.h"
#include "vm/accel/unicorn/unicorn_state.h"
#include "vm/board/memory_map.h"

namespace godwit::vm {

class UnicornVcpu final : public Vcpu, private EngineClient {
 public:
  static Result<std::unique_ptr<Vcpu>> create(unsigned index, const MemoryMap& memory, Bus& bus);

  Result<> attach() override { return {}; }
  Result<VcpuExit> run() override;
  void interrupt() noexcept override { interrupted_.store(true, std::memory_order_release); }
  void clear_interrupt() noexcept override { interrupted_.store(false, std::memory_order_relaxed); }
  Result<CpuState> state() override;
  Result<> set_state(const CpuState& state) override;

 private:
  static constexpr std::uint64_t nowhere = ~std::uint64_t{0};

  UnicornVcpu(unsigned index, const MemoryMap& memory, Bus& bus, StateReader reader)
      : index_(index), memory_(memory), bus_(bus), reader_(std::move(reader)) {}

  // EngineClient
  void on_block(std::uint64_t linear, std::uint32_t size) override;
  void on_syscall() override;

  Result<> read_state();
  Result<> open_engine();
  Result<> choose_engine();
  Result<std::optional<VcpuExit>> go_on();
  Result<> at_breakpoint();
  Result<> follow(CpuState next);
  Result<> explain(uc_err error);
  bool is_at_halt();
  std::uint64_t linear_rip() const;

  const unsigned index_;
  const MemoryMap& memory_;
  Bus& bus_;
  StateReader reader_;
  std::unique_ptr<UnicornEngine> engine_;
  CpuState state_;        ///< as loaded or read last
  bool waiting_ = false;  ///< for an interrupt or for start-up, which never comes
  std::atomic<bool> interrupted_ = false;

  // While the engine runs:
  bool stopped_ = false;        ///< by on_block()
  bool called_kernel_ = false;  ///< by on_syscall()
  /// Linear address at which an instruction may begin that is to be interpreted here; the engine stops there.
  std::optional<std::uint64_t> breakpoint_;
  struct {
    std::uint64_t begin = 0;
    std::uint64_t size = 0;
  } block_;                                    ///< the code that has the breakpoint; linear
  std::uint64_t passed_breakpoint_ = nowhere;  ///< where the engine goes on and needs not stop again
};

}  // namespace godwit::vm
