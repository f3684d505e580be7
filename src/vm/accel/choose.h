// Which accelerator a machine gets.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vm/accel/accelerator.h"
#include "vm/machine_config.h"

namespace godwit::vm {

struct ChosenAccelerator {
  std::unique_ptr<Accelerator> accelerator;
  std::string note;  ///< one line for the user, empty when the choice is no surprise
};

/// The first request that can be used wins; names nobody knows are skipped. No request at all: kvm, then tcg.
/// Where kvm was asked for and cannot be used, Unicorn stands in, and the note says so. Machine `none`
/// has no processors, so nothing needs to be executed; a microvm needs interrupt controllers.
Result<ChosenAccelerator> choose_accelerator(const std::vector<AcceleratorRequest>& requests,
                                             const std::string& cpu_model, MachineKind kind);

}  // namespace godwit::vm
