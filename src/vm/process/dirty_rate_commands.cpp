// Measuring and limiting how fast the guest writes. Limits are not built yet: what a machine answers where
// none was ever asked for is there.
#include <algorithm>

#include "base/fail.h"
#include "vm/process/vm_commands.h"

namespace godwit::vm {

using schema::Nothing;
namespace command = schema::command;

void register_dirty_rate_commands(qmp::CommandTable& table, const VmServices& services) {
  Migration& migration = services.migration;
  table.on<command::calc_dirty_rate>([&migration](auto&& arguments, auto&) -> Result<Nothing> {
    GODWIT_TRY(migration.measure_dirty_rate(arguments));
    return Nothing{};
  });
  table.on<command::query_dirty_rate>(
      [&migration](auto&&, auto&) -> Result<schema::DirtyRateInfo> { return migration.dirty_rate(); });
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
