// info: the version, the machine, the dirty rate.
#include "qmp/version.h"
#include "vm/process/hmp.h"
#include "vm/process/option_values.h"

namespace godwit::vm {

namespace {

Result<> cpus(HumanCall& call) {
  for (const VcpuInfo& vcpu : call.services.machine.vcpus())
    call.print("{} CPU #{}: thread_id={}\n", vcpu.index == 0 ? '*' : ' ', vcpu.index, vcpu.thread_id);
  return {};
}

Result<> dirty_rate(HumanCall& call) {
  const schema::DirtyRateInfo info = call.services.migration.dirty_rate();
  call.print("Status: {}\nStart Time: {} (ms)\nSample Pages: {} (per GB)\nPeriod: {} (sec)\nMode: {}\n",
             schema::to_string(info.status), info.start_time, info.sample_pages, info.calc_time,
             schema::to_string(info.mode));
  if (!info.dirty_rate) {
    call.print("Dirty rate: (not ready)\n");
    return {};
  }
  call.print("Dirty rate: {} (MB/s)\n", *info.dirty_rate);
  for (const auto& vcpu : info.vcpu_dirty_rate.value_or(std::vector<schema::DirtyRateVcpu>()))
    call.print("vcpu[{}], Dirty rate: {} (MB/s)\n", vcpu.id, vcpu.dirty_rate);
  return {};
}

Result<> name(HumanCall& call) {
  if (const auto& name = call.services.line.process.name) call.print("{}\n", *name);
  return {};
}

Result<> status(HumanCall& call) {
  const RunState state = call.services.machine.run_state();
  if (state == RunState::running)
    call.print("VM status: running\n");
  else if (state == RunState::paused)
    call.print("VM status: paused\n");
  else
    call.print("VM status: paused ({})\n", to_string(state));
  return {};
}

Result<> version(HumanCall& call) {
  const schema::VersionInfo version = qmp::monitor_version();
  call.print("{}.{}.{}{}\n", version.qemu.major, version.qemu.minor, version.qemu.micro, version.package);
  return {};
}

constexpr HumanCommand group[] = {
    {"cpus", "", "", "show infos for each CPU", cpus},
    {"dirty_rate", "", "", "show dirty rate information", dirty_rate},
    {"kvm", "", "", "show KVM information",
     [](HumanCall& call) -> Result<> {
       const bool used = call.services.machine.accelerator() == "kvm";
       call.print("kvm support: {}\n", used ? "enabled" : "disabled");
       return {};
     }},
    {"name", "", "", "show the current VM name", name},
    {"status", "", "", "show the current VM status (running|paused)", status},
    {"uuid", "", "", "show the current VM UUID",
     [](HumanCall& call) -> Result<> {
       call.print("{}\n", to_text(call.services.line.machine.uuid.value_or(Uuid{})));
       return {};
     }},
    {"vcpu_dirty_limit", "", "", "show dirty page limit information of all vCPU",
     [](HumanCall& call) -> Result<> {
       const auto limits = call.services.migration.vcpu_dirty_limits();
       if (limits.empty()) call.print("Dirty page limit not enabled!\n");
       for (const auto& vcpu : limits)
         call.print("vcpu[{}], limit rate {} (MB/s), current rate {} (MB/s)\n", vcpu.cpu_index,
                    vcpu.limit_rate, vcpu.current_rate);
       return {};
     }},
    {"version", "", "", "show the version of QEMU", version},
};

}  // namespace

std::span<const HumanCommand> human_machine_infos() {
  return group;
}

}  // namespace godwit::vm
