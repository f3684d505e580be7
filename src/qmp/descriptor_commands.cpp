// Descriptors that arrive as SCM_RIGHTS (control-plane section 13).
#include <utility>
#include <vector>

#include <godwit/schema/commands.h>

#include "qmp/monitor_commands.h"

namespace godwit::qmp {
namespace {

namespace command = schema::command;

Result<schema::Nothing> getfd(schema::GetfdArguments&& arguments, Context& context) {
  GODWIT_ASSIGN(UniqueFd fd, context.take_passed_descriptor());
  GODWIT_TRY(context.descriptors().store(std::move(arguments.fdname), std::move(fd)));
  return schema::Nothing{};
}

Result<schema::Nothing> closefd(schema::ClosefdArguments&& arguments, Context& context) {
  GODWIT_TRY(context.descriptors().close(arguments.fdname));
  return schema::Nothing{};
}

Result<schema::AddfdInfo> add_fd(schema::AddFdArguments&& arguments, Context& context) {
  GODWIT_ASSIGN(UniqueFd fd, context.take_passed_descriptor());
  GODWIT_ASSIGN(const FdSets::Added added, context.descriptors().sets().add(std::move(fd), arguments.fdset_id,
                                                                            std::move(arguments.opaque)));
  return schema::AddfdInfo{.fdset_id = added.id, .fd = added.fd};
}

Result<schema::Nothing> remove_fd(schema::RemoveFdArguments&& arguments, Context& context) {
  GODWIT_TRY(context.descriptors().sets().remove(arguments.fdset_id, arguments.fd));
  return schema::Nothing{};
}

Result<std::vector<schema::FdsetInfo>> query_fdsets(schema::Nothing&&, Context& context) {
  std::vector<schema::FdsetInfo> infos;
  for (FdSets::Set& set : context.descriptors().sets().list()) {
    schema::FdsetInfo& info = infos.emplace_back();
    info.fdset_id = set.id;
    for (FdSets::Member& member : set.members)
      info.fds.push_back({.fd = member.fd, .opaque = std::move(member.opaque)});
  }
  return infos;
}

}  // namespace

void add_descriptor_commands(CommandTable& table) {
  table.on<command::getfd>(getfd);
  table.on<command::closefd>(closefd);
  table.on<command::add_fd>(add_fd);
  table.on<command::remove_fd>(remove_fd);
  table.on<command::query_fdsets>(query_fdsets);
}

}  // namespace godwit::qmp
