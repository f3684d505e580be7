// The properties that only `-machine microvm` has.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <godwit/result.h>

#include "vm/machine_config.h"
#include "vm/process/option_values.h"

namespace godwit::vm {

/// As given; which machine they are for may not be known yet.
using MachineProperties = std::vector<std::pair<std::string, std::string>>;

/// Takes those that a microvm has out of `values`.
void take_microvm_properties(OptionValues& values, MachineProperties& into);

/// What they make of a microvm.
Result<> apply_microvm_properties(const MachineProperties& properties, MicrovmOptions& options);

/// What another machine says about them: some are its own too, the others it does not have.
Result<> check_foreign_properties(const MachineProperties& properties);

}  // namespace godwit::vm
