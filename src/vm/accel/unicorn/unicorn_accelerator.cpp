#include "vm/accel/unicorn/unicorn_accelerator.h"

#include <unicorn/unicorn.h>

#include <godwit/user_tracker.h>

#include "base/fail.h"
#include "vm/accel/unicorn/unicorn_vcpu.h"
#include "vm/devices/software_chips.h"

namespace godwit::vm {

Result<std::unique_ptr<UnicornAccelerator>> UnicornAccelerator::open() {
  if (!uc_arch_supported(UC_ARCH_X86)) return fail("this Unicorn cannot execute x86 code");
  return std::make_unique<UnicornAccelerator>();
}

Result<> UnicornAccelerator::map_ram(std::span<const RamSlot> slots) {
  memory_ = MemoryMap({slots.begin(), slots.end()});
  return {};
}

Result<std::unique_ptr<Vcpu>> UnicornAccelerator::create_vcpu(unsigned index, Bus& bus) {
  GODWIT_ASSIGN(auto vcpu, UnicornVcpu::create(index, memory_, bus, turn_));
  vcpus_.push_back(vcpu.get());
  return std::unique_ptr<Vcpu>(std::move(vcpu));
}

Result<std::unique_ptr<InterruptChips>> UnicornAccelerator::create_chips(const ChipOptions& options) {
  if (!options.timers) return fail("the machine has no timers for interrupt controllers in software");
  auto chips = std::make_unique<SoftwareChips>(static_cast<unsigned>(vcpus_.size()), options);
  for (std::size_t index = 0; index < vcpus_.size(); ++index)
    vcpus_[index]->use_interrupts(chips->processor(static_cast<unsigned>(index)));
  return std::unique_ptr<InterruptChips>(std::move(chips));
}

Result<std::unique_ptr<DirtyTracker>> UnicornAccelerator::create_dirty_tracker() {
  return make_user_tracker();
}

}  // namespace godwit::vm
