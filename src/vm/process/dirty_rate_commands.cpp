// Measuring and limiting how fast the guest writes. The checks and the answers of a machine where neither was
// ever asked for are there; the rest is not built yet.
#include <algorithm>

#include "base/fail.h"
#include "vm/process/vm_commands.h"

namespace godwit::vm {

using schema::Nothing;
namespace command = schema::command;

namespace {

Result<Nothing> check_measurement(const schema::CalcDirtyRateArguments& arguments) {
  if (arguments.calc_time < 1 || arguments.calc_time > 60) return fail("calc-time is out of range[1, 60].");
  const std::int64_t pages = arguments.sample_pages.value_or(512);
  if (pages < 128 || pages > 16384) return fail("sample-pages is out of range[128, 16384].");
  return fail("calc-dirty-rate is not built yet");
}

}  // namespace

void register_dirty_rate_commands(qmp::CommandTable& table, const VmServices& services) {
  table.on<command::calc_dirty_rate>([](auto&& arguments, auto&) { return check_measurement(arguments); });
  table.on<command::query_dirty_rate>([](auto&&, auto&) -> Result<schema::DirtyRateInfo> {
    schema::DirtyRateInfo info;  // no measurement can have been started
    info.status = schema::DirtyRateStatus::unstarted;
    info.mode = schema::DirtyRateMeasureMode::page_sampling;
    return info;
  });
  const bool has_ring =
      services.machine.accelerator() == "kvm" &&
      std::ranges::any_of(services.line.machine.accelerators, [](const AcceleratorRequest& request) {
        return request.name == "kvm" && request.dirty_ring_size != 0;
      });
  table.on<command::set_vcpu_dirty_limit>([has_ring](auto&&, auto&) -> Result<Nothing> {
    if (!has_ring)
      return fail("dirty page limit feature requires KVM with accelerator property 'dirty-ring-size' set'");
    return fail("set-vcpu-dirty-limit is not built yet");
  });
  table.on<command::cancel_vcpu_dirty_limit>(
      [](auto&&, auto&) -> Result<Nothing> { return Nothing{}; });  // none is set
  table.on<command::query_vcpu_dirty_limit>([](auto&&, auto&) -> Result<std::vector<schema::DirtyLimitInfo>> {
    return std::vector<schema::DirtyLimitInfo>();
  });
}

}  // namespace godwit::vm
