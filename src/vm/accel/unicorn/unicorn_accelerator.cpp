#include "vm/accel/unicorn/unicorn_accelerator.h"

#include <unicorn/unicorn.h>

#include <godwit/user_tracker.h>

#include "base/fail.h"
#include "vm/accel/unicorn/unicorn_vcpu.h"

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
  return UnicornVcpu::create(index, memory_, bus);
}

Result<std::unique_ptr<DirtyTracker>> UnicornAccelerator::create_dirty_tracker() {
  return make_user_tracker();
}

}  // namespace godwit::vm
