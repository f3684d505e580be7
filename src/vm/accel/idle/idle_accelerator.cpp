#include "vm/accel/idle/idle_accelerator.h"

namespace godwit::vm {
namespace {

class IdleVcpu final : public Vcpu {
 public:
  Result<> attach() override { return {}; }
  Result<VcpuExit> run() override { return VcpuExit::halted; }
  void interrupt() noexcept override {}
  void clear_interrupt() noexcept override {}
  Result<CpuState> state() override { return state_; }
  Result<> set_state(const CpuState& state) override {
    state_ = state;
    return {};
  }

 private:
  CpuState state_;
};

}  // namespace

Result<std::unique_ptr<Vcpu>> IdleAccelerator::create_vcpu(unsigned, Bus&) {
  return std::make_unique<IdleVcpu>();
}

}  // namespace godwit::vm
