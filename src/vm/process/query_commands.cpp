// What the machine is and how it is doing.
#include <fmt/format.h>
#include <sys/stat.h>

#include "vm/process/machine_types.h"
#include "vm/process/option_values.h"
#include "vm/process/vm_commands.h"

namespace godwit::vm {

namespace command = schema::command;

namespace {

std::vector<schema::CpuInfoFast> cpus(const Machine& machine) {
  std::vector<schema::CpuInfoFast> list;
  for (const VcpuInfo& vcpu : machine.vcpus()) {
    schema::CpuInfoFast cpu;
    cpu.cpu_index = vcpu.index;
    cpu.qom_path = fmt::format("/machine/unattached/device[{}]", vcpu.index);
    cpu.thread_id = vcpu.thread_id;
    cpu.props.emplace();
    cpu.props->socket_id = 0;
    cpu.props->core_id = vcpu.index;
    cpu.props->thread_id = 0;
    list.push_back(std::move(cpu));
  }
  return list;
}

std::vector<schema::MachineInfo> machines() {
  std::vector<schema::MachineInfo> list;
  for (const MachineType& type : machine_types()) {
    schema::MachineInfo info;
    info.name = type.name;
    if (!type.alias.empty()) info.alias = std::string(type.alias);
    if (type.is_default) info.is_default = true;
    info.cpu_max = type.most_vcpus;
    info.default_ram_id = type.kind == MachineKind::pc        ? "pc.ram"
                          : type.kind == MachineKind::microvm ? "microvm.ram"
                                                              : "ram";
    list.push_back(std::move(info));
  }
  return list;
}

/// The boot disk, which is read at start and reset and never written.
schema::BlockInfo boot_disk(const std::string& path) {
  schema::BlockInfo disk;
  disk.device = "ide0-hd0";
  disk.type = "unknown";
  disk.io_status = schema::BlockDeviceIoStatus::ok;
  auto& medium = disk.inserted.emplace();
  medium.file = path;
  medium.ro = true;
  medium.drv = "raw";
  medium.image.filename = path;
  medium.image.format = "raw";
  medium.cache.writeback = true;
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0) {
    medium.image.virtual_size = info.st_size;
    medium.image.actual_size = info.st_blocks * 512;
  }
  return disk;
}

}  // namespace

void register_query_commands(qmp::CommandTable& table, const VmServices& services) {
  const Machine& machine = services.machine;
  const CommandLine& line = services.line;
  table.on<command::query_status>([&machine](auto&&, auto&) -> Result<schema::StatusInfo> {
    schema::StatusInfo info;
    info.status = machine.run_state();
    info.running = info.status == RunState::running;
    return info;
  });
  table.on<command::query_name>(
      [&line](auto&&, auto&) -> Result<schema::NameInfo> { return schema::NameInfo{line.process.name}; });
  table.on<command::query_uuid>([&line](auto&&, auto&) -> Result<schema::UuidInfo> {
    return schema::UuidInfo{to_text(line.machine.uuid.value_or(Uuid{}))};
  });
  table.on<command::query_kvm>([&machine](auto&&, auto&) -> Result<schema::KvmInfo> {
    return schema::KvmInfo{machine.accelerator() == "kvm", true};
  });
  table.on<command::query_cpus_fast>(
      [&machine](auto&&, auto&) -> Result<std::vector<schema::CpuInfoFast>> { return cpus(machine); });
  table.on<command::query_machines>(
      [](auto&&, auto&) -> Result<std::vector<schema::MachineInfo>> { return machines(); });
  table.on<command::query_block>([&line](auto&&, auto&) -> Result<std::vector<schema::BlockInfo>> {
    std::vector<schema::BlockInfo> disks;
    if (!line.machine.first_disk.empty()) disks.push_back(boot_disk(line.machine.first_disk));
    return disks;
  });
}

}  // namespace godwit::vm
