// Unicorn: guests where there is no KVM. Interrupts and exceptions are delivered by hand, the controllers are
// software; its time stamp counter is the host's.
#pragma once

#include <memory>
#include <vector>

#include "vm/accel/accelerator.h"
#include "vm/accel/unicorn/execution_turn.h"
#include "vm/board/memory_map.h"

namespace godwit::vm {

class UnicornVcpu;

class UnicornAccelerator final : public Accelerator {
 public:
  static Result<std::unique_ptr<UnicornAccelerator>> open();

  std::string_view name() const override { return "tcg"; }
  Result<> map_ram(std::span<const RamSlot> slots) override;
  Result<std::unique_ptr<Vcpu>> create_vcpu(unsigned index, Bus& bus) override;
  Result<std::unique_ptr<InterruptChips>> create_chips(const ChipOptions& options) override;
  Result<std::unique_ptr<DirtyTracker>> create_dirty_tracker() override;

 private:
  MemoryMap memory_;
  ExecutionTurn turn_;
  std::vector<UnicornVcpu*> vcpus_;  ///< belong to whoever asked for them
};

}  // namespace godwit::vm
