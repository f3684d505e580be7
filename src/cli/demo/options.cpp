#include "cli/demo/options.h"

#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <limits>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "base/fail.h"
#include "base/system.h"
#include "cli/quantity.h"
#include "cli/vmm_process.h"

namespace godwit::cli::demo {
namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t least_ram = 32 * mib;
/// Below the guest's data, and above what it fills: tables of a firmware may stand there.
constexpr std::uint64_t reserved_at_top = 4 * mib;
/// The guest reaches no further: RAM has a hole there.
constexpr std::uint64_t most_fill = 2560 * mib;
/// What two VMMs and the tool need beside the guest's RAM.
constexpr std::uint64_t overhead = 128 * mib;

std::uint64_t fill_bytes(const Options& options) {
  return std::min(options.ram_bytes - data_address - reserved_at_top, most_fill) / page_bytes * page_bytes;
}

/// 0 if it cannot be found out.
std::uint64_t available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::uint64_t kib = 0;
  for (std::string unit; file >> name >> kib; std::getline(file, unit))
    if (name == "MemAvailable:") return kib * 1024;
  return 0;
}

Result<> check_host(const Options& options) {
  if (options.accelerator == Accelerator::kvm && usable_accelerator() != Accelerator::kvm)
    return std::unexpected(Error("/dev/kvm cannot be used here")
                               .advise("load the kvm module and get access to /dev/kvm, or use --accel tcg"));
  // The part of the RAM the guest never touches takes no memory.
  const std::uint64_t needed = 2 * (fill_bytes(options) + data_address) + overhead;
  const std::uint64_t available = available_memory();
  if (available != 0 && needed > available)
    return std::unexpected(
        Error(fmt::format("source and destination need {} of memory together, and {} is available",
                          size_text(static_cast<double>(needed)), size_text(static_cast<double>(available))))
            .advise("choose a smaller --size"));
  return {};
}

}  // namespace

std::string_view to_string(Transport transport) {
  switch (transport) {
    case Transport::tcp:
      return "tcp";
    case Transport::unix_socket:
      return "unix";
    case Transport::fd:
      return "fd";
    case Transport::exec:
      return "exec";
    case Transport::file:
      return "file";
  }
  return "";
}

std::string_view to_string(Accelerator accelerator) {
  return accelerator == Accelerator::kvm ? "kvm" : "tcg";
}

Accelerator usable_accelerator() {
  const UniqueFd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  return kvm && ::ioctl(kvm.get(), KVM_GET_API_VERSION, 0) == KVM_API_VERSION ? Accelerator::kvm
                                                                              : Accelerator::tcg;
}

Result<Options> complete(Options options) {
  const bool hardware = options.accelerator == Accelerator::kvm;
  if (options.ram_bytes == 0) options.ram_bytes = (hardware ? 512 : 96) * mib;
  options.ram_bytes = options.ram_bytes / mib * mib;
  if (options.ram_bytes < least_ram) return fail("--size has to be {} or more", size_text(least_ram));
  // Fast enough that the hot part goes over within the downtime limit, slow enough to watch.
  if (!options.bandwidth) options.bandwidth = (hardware ? 256 : 32) * mib;
  const std::uint64_t fill = fill_bytes(options);
  if (options.hot_bytes == 0) options.hot_bytes = std::min((hardware ? 32 : 4) * mib, fill / 2);
  options.hot_bytes = std::max(options.hot_bytes / page_bytes, std::uint64_t{1}) * page_bytes;
  if (options.hot_bytes > fill)
    return fail("--hot is more than the {} the guest fills of a RAM of {}",
                size_text(static_cast<double>(fill)), size_text(static_cast<double>(options.ram_bytes)));
  if (options.source_vmm.empty()) {
    GODWIT_ASSIGN(const auto directory, own_directory());
    options.source_vmm = directory + "/godwit-system-x86_64";
  }
  if (options.destination_vmm.empty()) options.destination_vmm = options.source_vmm;
  for (const auto& vmm : {options.source_vmm, options.destination_vmm})
    if (auto found = find_program(vmm); !found)
      return std::unexpected(
          std::move(found).error().advise("name a VMM with --vmm, such as --vmm qemu-system-x86_64"));
  GODWIT_TRY(check_host(options));
  return options;
}

WitnessParameters witness_parameters(const Options& options, double tick_rate) {
  WitnessParameters parameters;
  parameters.fill_pages = static_cast<std::uint32_t>(fill_bytes(options) / page_bytes);
  parameters.hot_pages = static_cast<std::uint32_t>(options.hot_bytes / page_bytes);
  const double most_ticks = std::numeric_limits<std::int32_t>::max();
  if (options.dirty_rate != 0) {
    const double ticks =
        tick_rate * static_cast<double>(page_bytes) / static_cast<double>(options.dirty_rate);
    parameters.ticks_per_page = static_cast<std::uint32_t>(std::min(ticks, most_ticks));
  }
  // What counts as a pause: far longer than a page takes, which is a microsecond in hardware.
  const double gap_seconds = options.accelerator == Accelerator::kvm ? 20e-6 : 2e-3;
  parameters.gap_ticks = static_cast<std::uint32_t>(gap_seconds * tick_rate);
  return parameters;
}

}  // namespace godwit::cli::demo
