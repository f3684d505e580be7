// QEMU's command line, as far as this VMM has what it asks for.
#pragma once

#include <optional>
#include <span>
#include <string>

#include <godwit/result.h>

#include "vm/machine_config.h"
#include "vm/process/process_config.h"

namespace godwit::vm {

struct CommandLine {
  MachineConfig machine;
  ProcessConfig process;
  /// Set by -help, -version, `-machine help`: print this on standard output and end with status 0.
  std::optional<std::string> answer;
};

/// `arguments` without the program's name. Pure: opens nothing. An error names the option:
/// "-m 1x: Parameter 'size' expects ...".
Result<CommandLine> parse_command_line(std::span<const std::string> arguments);

}  // namespace godwit::vm
