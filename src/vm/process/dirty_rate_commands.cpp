// Measuring and limiting how fast the guest writes.
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
  table.on<command::set_vcpu_dirty_limit>([&migration](auto&& arguments, auto&) -> Result<Nothing> {
    GODWIT_TRY(migration.set_vcpu_dirty_limit(arguments.cpu_index, arguments.dirty_rate));
    return Nothing{};
  });
  table.on<command::cancel_vcpu_dirty_limit>([&migration](auto&& arguments, auto&) -> Result<Nothing> {
    GODWIT_TRY(migration.cancel_vcpu_dirty_limit(arguments.cpu_index));
    return Nothing{};
  });
  table.on<command::query_vcpu_dirty_limit>(
      [&migration](auto&&, auto&) -> Result<std::vector<schema::DirtyLimitInfo>> {
        return migration.vcpu_dirty_limits();
      });
}

}  // namespace godwit::vm
