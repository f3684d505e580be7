// What a KVM guest's CPUID instruction says.
#pragma once

#include <linux/kvm.h>
#include <string_view>
#include <vector>

#include "base/system.h"

namespace godwit::vm {

/// Everything this kernel and processor can give a guest.
Result<std::vector<kvm_cpuid_entry2>> supported_cpuid(const UniqueFd& kvm);

/// Hides what the `cpu` section does not carry (vector state beyond AVX, protection keys, nested
/// virtualization) and the features that `model` takes away ("qemu64,-pni"). Every model name stands for the
/// host's processor.
void restrict_cpuid(std::vector<kvm_cpuid_entry2>& cpuid, std::string_view model);

/// Puts the number of the vCPU where CPUID shows it.
void number_cpuid(std::vector<kvm_cpuid_entry2>& cpuid, unsigned index);

}  // namespace godwit::vm
