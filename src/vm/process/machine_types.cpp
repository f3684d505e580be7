#include "vm/process/machine_types.h"

#include "base/fail.h"

namespace godwit::vm {

namespace {

constexpr MachineType types[] = {
    {"pc-godwit-1.0", "pc", "PC that boots the first sector of a disk", MachineKind::pc, true, 255},
    {"pc-q35-1.0", "q35", "the same machine under the name that users of Q35 ask for", MachineKind::pc, false,
     255},
    {"microvm", "", "BIOS, interrupt controllers, serial port; QEMU's machine of this name",
     MachineKind::microvm, false, 8},
    {"none", "", "memory and a monitor, nothing else", MachineKind::none, false, 1},
};

}  // namespace

std::span<const MachineType> machine_types() {
  return types;
}

const MachineType& default_machine_type() {
  return types[0];
}

Result<const MachineType*> resolve_machine_type(std::string_view name) {
  for (const MachineType& type : types)
    if (type.name == name || (!type.alias.empty() && type.alias == name)) return &type;
  return fail("unsupported machine type '{}'. Use -machine help to list supported machines", name);
}

std::string machine_list_text() {
  std::string text = "Supported machines are:\n";
  for (const MachineType& type : types) {
    if (!type.alias.empty())
      text += fmt::format("{:<20} {} (alias of {})\n", type.alias, type.about, type.name);
    text += fmt::format("{:<20} {}{}\n", type.name, type.about, type.is_default ? " (default)" : "");
  }
  return text;
}

}  // namespace godwit::vm
