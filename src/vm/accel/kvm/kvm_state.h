// CpuState in and out of a KVM vCPU (x86-machine-state sections 3.4 to 3.7).
#pragma once

#include <linux/kvm.h>
#include <span>
#include <vector>

#include "base/system.h"
#include "vm/accel/cpu_state.h"
#include "vm/accel/kvm/kvm_msrs.h"

namespace godwit::vm {

/// What is the same for all vCPUs of a machine.
struct KvmCpuTraits {
  std::span<const kvm_cpuid_entry2> cpuid;
  std::span<const std::uint32_t> msr_indices;  ///< sorted; those that the kernel says it can save
  bool has_apic = false;                       ///< the kernel has the interrupt controllers
};

/// Does not own the descriptor. Used on the vCPU's thread, while it does not run.
class KvmStateAccess {
 public:
  /// Sets CPUID and finds out which model specific registers exist, and which of them can be set.
  Result<> prepare(int fd, unsigned index, const KvmCpuTraits& traits);
  Result<> get(CpuState& state) const;
  Result<> set(const CpuState& state);
  /// The time stamp counter alone.
  Result<std::uint64_t> ticks() const;

 private:
  /// A register that can be read and not set, and what it had when the vCPU was made.
  struct FixedMsr {
    std::uint32_t index = 0;
    std::uint64_t value = 0;
  };

  void probe_msrs(const KvmCpuTraits& traits);
  void set_tsc_frequency(std::int64_t khz);
  Result<> get_msrs(CpuState& state) const;
  void set_msrs(const CpuState& state) const;
  void report_fixed_msr(const MsrPlace& place) const;

  int fd_ = -1;
  bool has_apic_ = false;
  bool has_sregs2_ = false;
  std::int64_t tsc_khz_ = 0;      ///< 0: not known
  std::uint64_t components_ = 3;  ///< of the XSAVE image that CPUID shows; x87 and SSE are always there
  std::vector<std::uint32_t> readable_msrs_;  ///< sorted
  std::vector<FixedMsr> fixed_msrs_;          ///< sorted by index
};

}  // namespace godwit::vm
