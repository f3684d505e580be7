// Unicorn: guests where there is no KVM. It executes code; it delivers no interrupts and no exceptions, and
// its time stamp counter is the host's.
#pragma once

#include <memory>

#include "vm/accel/accelerator.h"
#include "vm/board/memory_map.h"

namespace godwit::vm {

class UnicornAccelerator final : public Accelerator {
 public:
  static Result<std::unique_ptr<UnicornAccelerator>> open();

  std::string_view name() const override { return "tcg"; }
  Result<> map_ram(std::span<const RamSlot> slots) override;
  Result<std::unique_ptr<Vcpu>> create_vcpu(unsigned index, Bus& bus) override;
  Result<std::unique_ptr<DirtyTracker>> create_dirty_tracker() override;

 private:
  MemoryMap memory_;
};

}  // namespace godwit::vm
