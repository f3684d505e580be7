// The RAM of a machine, as its backend asks for it.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include <godwit/ram_block.h>
#include <godwit/result.h>

#include "memory/ram.h"
#include "vm/machine_config.h"

namespace godwit::vm {

/// Owns the memory of one block or of none.
class GuestMemory {
 public:
  static Result<GuestMemory> create(const MachineConfig& config);
  std::span<const RamBlock> blocks() const { return blocks_; }

 private:
  std::optional<memory::GuestRam> ram_;
  std::vector<RamBlock> blocks_;
};

}  // namespace godwit::vm
