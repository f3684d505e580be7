// -accel, -machine, -cpu, -smp, -m and the like.
#include <algorithm>
#include <limits>

#include "base/fail.h"
#include "vm/process/machine_types.h"
#include "vm/process/option_handlers.h"
#include "vm/process/option_values.h"

namespace godwit::vm::options {

namespace {

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

Result<> add_accelerator(Draft& draft, OptionValues& values) {
  AcceleratorRequest request;
  GODWIT_ASSIGN(request.name, values.require("accel"));
  if (request.name == "help") {
    draft.result.answer =
        "Accelerators:\nkvm    the kernel's, where /dev/kvm can be used\n"
        "tcg    interpreted by Unicorn\nqtest  no processor runs\n";
    return {};
  }
  GODWIT_ASSIGN(const auto ring, values.take_number("dirty-ring-size"));
  if (ring && (*ring > std::numeric_limits<std::uint32_t>::max() || (*ring & (*ring - 1)) != 0))
    return fail("dirty-ring-size must be a power of two.");
  request.dirty_ring_size = static_cast<std::uint32_t>(ring.value_or(0));
  values.ignore({"thread", "tb-size", "one-insn-per-tb", "split-wx", "kernel-irqchip", "kvm-shadow-mem",
                 "notify-vmexit", "notify-window", "igd-passthru"});
  draft.result.machine.accelerators.push_back(std::move(request));
  return values.finish();
}

/// Properties that say how a machine is to be built which ours never is, or that change nothing for it.
void ignore_machine_properties(OptionValues& values) {
  values.ignore({"graphics", "usb", "vmport", "mem-merge", "aux-ram-share", "smm", "hpet", "nvdimm", "sata",
                 "smbus", "i8042", "hmat", "max-ram-below-4g", "max-fw-size", "fd-bootchk"});
}

}  // namespace

Result<> accelerator(Draft& draft, const std::string& argument) {
  OptionValues values = OptionValues::parse(argument, "accel");
  return add_accelerator(draft, values);
}

Result<> enable_kvm(Draft& draft, const std::string&) {
  draft.result.machine.accelerators.push_back({"kvm", 0});
  return {};
}

Result<> machine(Draft& draft, const std::string& argument) {
  OptionValues values = OptionValues::parse(argument, "type");
  if (auto type = values.take("type")) {
    if (*type == "help" || *type == "?") {
      draft.result.answer = machine_list_text();
      return {};
    }
    GODWIT_TRY(resolve_machine_type(*type));
    draft.machine_type = *std::move(type);
  }
  if (const auto names = values.take("accel")) {
    for (std::size_t at = 0; at <= names->size();) {
      const std::size_t colon = std::min(names->find(':', at), names->size());
      draft.result.machine.accelerators.push_back({names->substr(at, colon - at), 0});
      at = colon + 1;
    }
  }
  if (auto id = values.take("memory-backend")) draft.result.process.ram_backend = *std::move(id);
  GODWIT_ASSIGN(const auto no_description, values.take_flag("suppress-vmdesc"));
  if (no_description) draft.result.machine.suppress_description = *no_description;
  take_microvm_properties(values, draft.microvm_properties);
  GODWIT_ASSIGN(const auto dump, values.take_flag("dump-guest-core"));
  if (dump) draft.dump_guest_core = *dump;
  ignore_machine_properties(values);
  const auto unknown = values.remaining();
  if (!unknown.empty()) return fail("Property '{}' not found", unknown.front());
  return {};
}

Result<> bios(Draft& draft, const std::string& argument) {
  draft.result.machine.bios = argument;
  return {};
}

Result<> cpu(Draft& draft, const std::string& argument) {
  draft.result.machine.cpu_model = argument;
  return {};
}

Result<> smp(Draft& draft, const std::string& argument) {
  OptionValues values = OptionValues::parse(argument, "cpus");
  GODWIT_ASSIGN(const auto cpus, values.take_number("cpus"));
  std::uint64_t product = 1;
  for (const std::string_view part : {"sockets", "dies", "clusters", "cores", "threads"}) {
    GODWIT_ASSIGN(const auto count, values.take_number(part));
    if (count && (*count == 0 || *count > 255)) return fail("CPU topology parameters must be from 1 to 255");
    product *= count.value_or(1);
  }
  GODWIT_ASSIGN(const auto most, values.take_number("maxcpus"));
  GODWIT_TRY(values.finish());
  const std::uint64_t count = cpus.value_or(most.value_or(product));
  if (count == 0 || count > 255) return fail("Invalid SMP CPUs {}. The max CPUs supported is 255", count);
  if (most.value_or(count) != count)
    return fail("CPUs that are added later (maxcpus={}) are not built yet", *most);
  draft.result.machine.vcpus = static_cast<unsigned>(count);
  return {};
}

Result<> memory(Draft& draft, const std::string& argument) {
  OptionValues values = OptionValues::parse(argument, "size");
  GODWIT_ASSIGN(const auto size, values.take_size("size", mebibyte));
  GODWIT_ASSIGN(const auto most, values.take_size("maxmem", mebibyte));
  GODWIT_ASSIGN(const auto slots, values.take_number("slots"));
  GODWIT_TRY(values.finish());
  if (size && *size != 0) draft.memory_size = *size;
  if (slots.value_or(0) != 0 || (most && *most != draft.memory_size))
    return fail("memory that is added later (slots, maxmem) is not built yet");
  return {};
}

Result<> memory_path(Draft& draft, const std::string& argument) {
  draft.memory_path = argument;
  return {};
}

Result<> memory_prealloc(Draft& draft, const std::string&) {
  draft.preallocate = true;
  return {};
}

Result<> numa(Draft& draft, const std::string& argument) {
  OptionValues values = OptionValues::parse(argument, "type");
  GODWIT_ASSIGN(const std::string type, values.require("type"));
  if (type != "node") return fail("-numa {} is not built yet; node,memdev=ID is", type);
  auto id = values.take("memdev");
  if (!id) return fail("Parameter 'memdev' is missing");
  values.ignore({"nodeid", "cpus"});
  GODWIT_TRY(values.finish());
  if (!draft.numa_backend.empty()) return fail("more than one NUMA node is not built yet");
  draft.numa_backend = *std::move(id);
  return {};
}

Result<> uuid(Draft& draft, const std::string& argument) {
  GODWIT_ASSIGN(draft.result.machine.uuid, parse_uuid(argument));
  return {};
}

Result<> overcommit(Draft& draft, const std::string& argument) {
  OptionValues values = OptionValues::parse(argument);
  GODWIT_ASSIGN(const auto lock, values.take_flag("mem-lock"));
  GODWIT_TRY(values.take_flag("cpu-pm"));
  GODWIT_TRY(values.finish());
  if (lock) draft.result.machine.lock_memory = *lock;
  return {};
}

}  // namespace godwit::vm::options
