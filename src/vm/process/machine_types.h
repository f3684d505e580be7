// The machine types by name, for -machine, `-machine help` and query-machines.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <godwit/result.h>

#include "vm/machine_config.h"

namespace godwit::vm {

struct MachineType {
  std::string_view name;   ///< sent in the stream
  std::string_view alias;  ///< empty: none
  std::string_view about;
  MachineKind kind;
  bool is_default = false;
  unsigned most_vcpus = 1;
};

std::span<const MachineType> machine_types();

/// By name or alias. The error names the type.
Result<const MachineType*> resolve_machine_type(std::string_view name);

const MachineType& default_machine_type();

/// What `-machine help` prints.
std::string machine_list_text();

}  // namespace godwit::vm
