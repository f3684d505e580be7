// Linux KVM: one virtual machine, its memory slots and what its processors look like.
#pragma once

#include <atomic>
#include <linux/kvm.h>
#include <memory>
#include <string>
#include <vector>

#include "base/system.h"
#include "memory/kvm_dirty_ring_tracker.h"
#include "vm/accel/accelerator.h"
#include "vm/accel/kvm/kvm_calls.h"

namespace godwit::vm {

struct KvmOptions {
  std::uint32_t dirty_ring_size = 0;   ///< entries per vCPU; 0: the dirty log
  std::string cpu_model;               ///< as given to -cpu
  bool interrupt_controllers = false;  ///< the kernel's local APICs and I/O APIC
};

class KvmAccelerator final : public Accelerator {
 public:
  /// A dirty ring that is too small is made larger, with a warning.
  /// Fails if there is no /dev/kvm, if it cannot be opened, or if it lacks something that is needed.
  static Result<std::unique_ptr<KvmAccelerator>> open(KvmOptions options);

  std::string_view name() const override { return "kvm"; }
  Result<> map_ram(std::span<const RamSlot> slots) override;
  Result<std::unique_ptr<Vcpu>> create_vcpu(unsigned index, Bus& bus) override;
  Result<std::unique_ptr<InterruptChips>> create_chips(const ChipOptions& options) override;
  Result<std::unique_ptr<DirtyTracker>> create_dirty_tracker() override;

 private:
  KvmAccelerator() = default;
  Result<> enable_dirty_ring();
  Result<> read_cpu_description();
  Result<> reap_dirty_rings();

  KvmOptions options_;
  UniqueFd kvm_;
  UniqueFd vm_;
  std::size_t run_size_ = 0;  ///< bytes of a vCPU's shared page and what follows it
  std::vector<kvm_cpuid_entry2> cpuid_;
  std::vector<std::uint32_t> msr_indices_;
  std::vector<RamSlot> slots_;
  std::vector<int> vcpu_fds_;                                         ///< owned by the vCPUs
  std::atomic<memory::KvmDirtyRingTracker*> ring_tracker_ = nullptr;  ///< owned by who asked for it
};

}  // namespace godwit::vm
