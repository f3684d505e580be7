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

/// Owns the memory of the RAM block, if there is one, and of the BIOS block behind it, if there is one.
class GuestMemory {
 public:
  /// `bios_size` bytes for a BIOS image; 0: the machine has none.
  static Result<GuestMemory> create(const MachineConfig& config, std::uint64_t bios_size = 0);
  std::span<const RamBlock> blocks() const { return blocks_; }

 private:
  std::optional<memory::GuestRam> ram_;
  std::optional<memory::GuestRam> bios_;
  std::vector<RamBlock> blocks_;
};

}  // namespace godwit::vm
