// The clock that KVM shows its guests, as the section carries it (x86-machine-state section 4.6).
#pragma once

#include <cstdint>
#include <memory>

#include <godwit/device_section.h>
#include <godwit/field_table.h>

namespace godwit::vm {

struct KvmclockState {
  std::uint64_t clock_ns = 0;
  bool reliable = true;  ///< does not jump when the vCPUs stop

  bool operator==(const KvmclockState&) const = default;
};

/// `state` outlives the section.
std::unique_ptr<DeviceSection> make_kvmclock_section(KvmclockState& state, SectionHooks hooks = {});

}  // namespace godwit::vm
