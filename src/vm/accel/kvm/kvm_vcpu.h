// One KVM vCPU.
#pragma once

#include <functional>
#include <linux/kvm.h>
#include <memory>
#include <optional>
#include <pthread.h>

#include "base/system.h"
#include "vm/accel/accelerator.h"
#include "vm/accel/kvm/kvm_state.h"

namespace godwit::vm {

class KvmVcpu final : public Vcpu {
 public:
  static Result<std::unique_ptr<Vcpu>> create(UniqueFd fd, std::size_t run_size, unsigned index, Bus& bus,
                                              const KvmCpuTraits& traits,
                                              std::function<Result<>()> reap_dirty_rings);

  Result<> attach() override;
  Result<VcpuExit> run() override;
  void interrupt() noexcept override;
  void clear_interrupt() noexcept override;
  Result<CpuState> state() override;
  Result<std::uint64_t> ticks() override { return access_.ticks(); }
  Result<> set_state(const CpuState& state) override;

 private:
  KvmVcpu(UniqueFd fd, Mapping run_page, unsigned index, Bus& bus, bool has_apic,
          std::function<Result<>()> reap_dirty_rings);
  /// What the guest's exit asks for; nothing when it can go on.
  Result<std::optional<VcpuExit>> handle_exit();
  void do_port_access();
  void do_memory_access();
  kvm_run* page() const { return reinterpret_cast<kvm_run*>(run_page_.data()); }

  UniqueFd fd_;
  Mapping run_page_;
  const unsigned index_;
  Bus& bus_;
  const bool has_apic_;
  KvmStateAccess access_;
  const std::function<Result<>()> reap_dirty_rings_;
  // Without an APIC of the kernel's, KVM knows no vCPU that waits for an interrupt or for start-up.
  bool waiting_ = false;
  std::uint32_t mp_state_ = mp_state::runnable;
  pthread_t thread_{};
};

}  // namespace godwit::vm
