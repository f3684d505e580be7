// The accelerator that executes nothing: `qtest`, and machines without a processor.
#pragma once

#include <string>
#include <utility>

#include "vm/accel/accelerator.h"

namespace godwit::vm {

/// Its vCPUs keep the state they are given.
class IdleAccelerator final : public Accelerator {
 public:
  explicit IdleAccelerator(std::string name) : name_(std::move(name)) {}
  std::string_view name() const override { return name_; }
  Result<> map_ram(std::span<const RamSlot>) override { return {}; }
  Result<std::unique_ptr<Vcpu>> create_vcpu(unsigned index, Bus& bus) override;
  /// None: nobody but those who mark pages writes.
  Result<std::unique_ptr<DirtyTracker>> create_dirty_tracker() override { return nullptr; }

 private:
  std::string name_;
};

}  // namespace godwit::vm
