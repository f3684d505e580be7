#include "vm/process/command_line.h"

#include <algorithm>

#include "base/fail.h"
#include "vm/process/chardev_options.h"
#include "vm/process/draft.h"
#include "vm/process/machine_types.h"
#include "vm/process/option_table.h"

namespace godwit::vm {

namespace {

constexpr std::uint64_t default_memory_size = std::uint64_t{128} << 20;

std::uint64_t whole_pages(std::uint64_t size) {
  return (size + page_size - 1) / page_size * page_size;
}

Result<> choose_machine(Draft& draft) {
  const MachineType* type = &default_machine_type();
  if (!draft.machine_type.empty()) {
    GODWIT_ASSIGN(type, resolve_machine_type(draft.machine_type));
  }
  MachineConfig& machine = draft.result.machine;
  machine.kind = type->kind;
  machine.machine_name = type->name;
  if (machine.vcpus > type->most_vcpus)
    return fail("Invalid SMP CPUs {}. The max CPUs supported by machine '{}' is {}", machine.vcpus,
                type->name, type->most_vcpus);
  if (machine.kind != MachineKind::microvm) {
    if (!machine.bios.empty()) return fail("-bios is for machine microvm; '{}' boots without", type->name);
    return check_foreign_properties(draft.microvm_properties);
  }
  if (machine.bios.empty()) return fail("machine microvm needs a BIOS image: -bios FILE");
  if (auto applied = apply_microvm_properties(draft.microvm_properties, machine.microvm); !applied)
    return std::unexpected(std::move(applied).error().in("-machine microvm"));
  return {};
}

Result<> choose_backend(Draft& draft) {
  ProcessConfig& process = draft.result.process;
  const std::string& id = process.ram_backend;
  const auto found = std::ranges::find(process.memory_backends, id, &MemoryBackend::id);
  if (found == process.memory_backends.end()) return fail("Memory backend '{}' not found", id);
  if (draft.memory_size && *draft.memory_size != found->size)
    return fail("Machine memory size does not match the size of the memory backend");
  if (found->size % page_size != 0)
    return fail("size {} of memory backend '{}' is not a multiple of {}, as RAM has to be", found->size, id,
                page_size);
  draft.result.machine.memory = *found;
  draft.result.machine.memory->prealloc |= draft.preallocate;
  draft.result.machine.memory->dump |= draft.dump_guest_core.value_or(false);
  return {};
}

Result<> choose_memory(Draft& draft) {
  ProcessConfig& process = draft.result.process;
  MachineConfig& machine = draft.result.machine;
  if (!draft.numa_backend.empty()) {
    if (!process.ram_backend.empty() && process.ram_backend != draft.numa_backend)
      return fail("-machine memory-backend={} and -numa node,memdev={} ask for different memory",
                  process.ram_backend, draft.numa_backend);
    process.ram_backend = draft.numa_backend;
  }
  if (!process.ram_backend.empty()) {
    if (!draft.memory_path.empty()) return fail("-mem-path and a memory backend exclude each other");
    return choose_backend(draft);
  }
  if (!draft.memory_size && machine.kind == MachineKind::none) return {};
  MemoryBackend memory;
  memory.size = whole_pages(draft.memory_size.value_or(default_memory_size));
  memory.prealloc = draft.preallocate;
  memory.dump = draft.dump_guest_core.value_or(false);
  if (!draft.memory_path.empty()) {
    memory.kind = MemoryBackend::Kind::file;
    memory.path = draft.memory_path;
  }
  machine.memory = std::move(memory);
  return {};
}

Result<> choose_disk(Draft& draft) {
  std::vector<const DriveDraft*> disks;
  for (const DriveDraft& drive : draft.drives)
    if (drive.on_board && !drive.file.empty()) disks.push_back(&drive);
  for (const std::string& id : draft.disk_devices) {
    const auto found = std::ranges::find(draft.drives, id, &DriveDraft::id);
    if (found == draft.drives.end())
      return fail("-device ide-hd: Property 'ide-hd.drive' can't find value '{}'", id);
    if (found->on_board)
      return fail("-device ide-hd: drive '{}' is on the board already; give it if=none", id);
    if (found->file.empty()) return fail("-device ide-hd: Device needs media, but drive is empty");
    disks.push_back(&*found);
  }
  if (disks.size() > 1) return fail("a second disk is not built yet");
  if (!disks.empty() && draft.result.machine.kind != MachineKind::pc)
    return fail("the machine '{}' has no disks", draft.result.machine.machine_name);
  if (!disks.empty()) draft.result.machine.first_disk = disks.front()->file;
  return {};
}

Result<> choose_serial(Draft& draft) {
  ProcessConfig& process = draft.result.process;
  std::string wanted = draft.serials.empty() ? "" : draft.serials.front();
  if (wanted.empty() && draft.console_on_stdio && !draft.no_defaults) {
    const bool taken = std::ranges::any_of(process.chardevs, [](const ChardevConfig& chardev) {
      return chardev.kind == ChardevConfig::Kind::stdio;
    });
    if (!taken && draft.serial_device.empty()) wanted = "stdio";
  }
  if (!draft.serial_device.empty()) {
    if (!wanted.empty() && wanted != "none" && wanted != "null")
      return fail("a second serial port is not built yet");
    process.serial_chardev = draft.serial_device;
  } else if (wanted.starts_with("chardev:")) {
    process.serial_chardev = wanted.substr(8);
  } else if (!wanted.empty() && wanted != "none" && wanted != "null") {
    auto chardev = parse_short_chardev(wanted, "serial0");
    if (!chardev) return std::unexpected(std::move(chardev).error().in("-serial " + wanted));
    process.chardevs.push_back(*std::move(chardev));
    process.serial_chardev = "serial0";
  }
  return {};
}

Result<> check_chardevs(const ProcessConfig& process) {
  const auto find = [&](const std::string& id) {
    return std::ranges::find(process.chardevs, id, &ChardevConfig::id);
  };
  std::vector<std::string> users;
  if (!process.serial_chardev.empty()) users.push_back(process.serial_chardev);
  for (const MonitorConfig& monitor : process.monitors) users.push_back(monitor.chardev);
  for (auto user = users.begin(); user != users.end(); ++user) {
    if (find(*user) == process.chardevs.end()) return fail("chardev \"{}\" not found", *user);
    if (std::find(users.begin(), user, *user) != user) return fail("chardev \"{}\" is already in use", *user);
  }
  for (const MonitorConfig& monitor : process.monitors)
    if (const auto kind = find(monitor.chardev)->kind; kind == ChardevConfig::Kind::file)
      return fail("a monitor on the file of chardev \"{}\" would never get a command", monitor.chardev);
  if (std::ranges::count(process.chardevs, ChardevConfig::Kind::stdio, &ChardevConfig::kind) > 1)
    return fail("cannot use stdio by multiple character devices");
  return {};
}

/// QEMU opens them; nobody would notice here.
void warn_of_unused_chardevs(ProcessConfig& process) {
  for (const ChardevConfig& chardev : process.chardevs) {
    const bool used =
        chardev.id == process.serial_chardev ||
        std::ranges::find(process.monitors, chardev.id, &MonitorConfig::chardev) != process.monitors.end();
    if (!used)
      process.warnings.push_back(
          fmt::format("chardev \"{}\" is not used by anything and not opened", chardev.id));
  }
}

/// The option that `word` spells, without its dashes; null if there is none.
const Option* option_of(std::string_view word) {
  word.remove_prefix(word.starts_with("--") ? 2 : 1);
  return find_option(word);
}

}  // namespace

Result<CommandLine> resolve(Draft draft) {
  GODWIT_TRY(choose_machine(draft));
  GODWIT_TRY(choose_memory(draft));
  GODWIT_TRY(choose_disk(draft));
  GODWIT_TRY(choose_serial(draft));
  GODWIT_TRY(check_chardevs(draft.result.process));
  warn_of_unused_chardevs(draft.result.process);
  return std::move(draft.result);
}

Result<CommandLine> parse_command_line(std::span<const std::string> arguments) {
  Draft draft;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (!word.starts_with('-')) {
      GODWIT_TRY(find_option("hda")->apply(draft, word));
      continue;
    }
    const Option* option = option_of(word);
    if (!option) return fail("{}: invalid option", word);
    std::string argument;
    std::string context = word;
    if (!option->argument.empty()) {
      if (i + 1 == arguments.size()) return fail("{}: requires an argument", word);
      argument = arguments[++i];
      context += " " + argument;
    }
    if (auto applied = option->apply(draft, argument); !applied)
      return std::unexpected(std::move(applied).error().in(context));
    if (draft.result.answer) return std::move(draft.result);
  }
  return resolve(std::move(draft));
}

}  // namespace godwit::vm
