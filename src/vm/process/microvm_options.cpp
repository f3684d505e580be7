#include "vm/process/microvm_options.h"

#include <algorithm>
#include <string_view>

#include "base/fail.h"

namespace godwit::vm {
namespace {

constexpr std::string_view names[] = {
    "pic",  "pit",  "rtc",     "isa-serial", "x-option-roms", "auto-kernel-cmdline",
    "acpi", "pcie", "ioapic2", "x-peer",     "kernel-irqchip"};
/// Those that every machine accepts.
constexpr std::string_view common[] = {"pit", "acpi", "kernel-irqchip"};

/// Unset: auto.
Result<std::optional<bool>> parse_on_off_auto(const std::string& name, const std::string& value) {
  if (value == "auto") return std::nullopt;
  GODWIT_ASSIGN(const bool on, parse_flag(name, value));
  return on;
}

/// A part that a microvm of ours never has.
Result<> refuse_on(const std::string& name, const std::string& value) {
  GODWIT_ASSIGN(const auto on, parse_on_off_auto(name, value));
  if (on.value_or(false)) return fail("{}=on is not built yet: use {}=off", name, name);
  return {};
}

Result<> apply(const std::string& name, const std::string& value, MicrovmOptions& options) {
  if (name == "x-peer") {
    if (value != "auto" && value != "kvm" && value != "tcg")
      return fail("Parameter 'x-peer' expects auto, kvm or tcg, not '{}'", value);
    options.peer = value == "kvm" ? Peer::kvm : value == "tcg" ? Peer::translator : Peer::unknown;
    return {};
  }
  if (name == "kernel-irqchip") {
    if (value == "split") return {};  // where the chips run does not show in the state
    GODWIT_ASSIGN(const bool on, parse_flag(name, value));
    return on ? Result<>() : fail("kernel-irqchip=off is not built yet: with KVM the kernel's are used");
  }
  if (name == "acpi" || name == "pcie" || name == "ioapic2") return refuse_on(name, value);
  if (name == "x-option-roms" || name == "auto-kernel-cmdline") {
    GODWIT_TRY(parse_flag(name, value));  // there are neither option ROMs nor a kernel
    return {};
  }
  if (name == "isa-serial") {
    GODWIT_ASSIGN(options.serial, parse_flag(name, value));
    return {};
  }
  GODWIT_ASSIGN(const auto on, parse_on_off_auto(name, value));
  if (name == "rtc") options.rtc = on;
  if (name == "pic") options.pic = on.value_or(true);
  if (name == "pit") options.pit = on.value_or(true);
  return {};
}

}  // namespace

void take_microvm_properties(OptionValues& values, MachineProperties& into) {
  for (const std::string_view name : names)
    if (auto value = values.take(name)) into.emplace_back(name, *std::move(value));
}

Result<> apply_microvm_properties(const MachineProperties& properties, MicrovmOptions& options) {
  for (const auto& [name, value] : properties) GODWIT_TRY(apply(name, value, options));
  return {};
}

Result<> check_foreign_properties(const MachineProperties& properties) {
  for (const auto& property : properties)
    if (std::ranges::find(common, property.first) == std::end(common))
      return fail("Property '{}' not found", property.first);
  return {};
}

}  // namespace godwit::vm
