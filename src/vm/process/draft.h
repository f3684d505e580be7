// The command line while it is being read: options may come in any order, so what they refer to is looked up
// at the end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vm/process/command_line.h"
#include "vm/process/microvm_options.h"

namespace godwit::vm {

/// One -drive.
struct DriveDraft {
  std::string id;
  std::string file;
  bool on_board = true;  ///< not if=none: needs no -device
};

struct Draft {
  CommandLine result;
  std::string machine_type;
  MachineProperties microvm_properties;      ///< of all -machine
  std::optional<std::uint64_t> memory_size;  ///< bytes; -m
  std::string memory_path;                   ///< -mem-path
  bool preallocate = false;                  ///< -mem-prealloc
  std::optional<bool> dump_guest_core;       ///< -machine dump-guest-core=
  std::string numa_backend;                  ///< -numa node,memdev=
  std::vector<DriveDraft> drives;
  std::vector<std::string> disk_devices;  ///< drive ids of -device ide-hd
  std::vector<std::string> serials;       ///< -serial, in order
  std::string serial_device;              ///< chardev id of -device isa-serial
  bool console_on_stdio = false;          ///< -nographic
  bool no_defaults = false;               ///< -nodefaults
  unsigned short_monitors = 0;            ///< how many -qmp there were
};

/// Looks up what the options refer to and fills in the defaults.
Result<CommandLine> resolve(Draft draft);

}  // namespace godwit::vm
