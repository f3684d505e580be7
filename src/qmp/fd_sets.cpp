#include "qmp/fd_sets.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <ranges>
#include <utility>

#include "base/fail.h"

namespace godwit::qmp {
namespace {

std::unexpected<Error> not_found(std::int64_t id, std::optional<std::int64_t> fd) {
  const std::string member = fd ? fmt::format(", fd:{}", *fd) : "";
  return fail("File descriptor named 'fdset-id:{}{}' not found", id, member);
}

std::optional<std::int64_t> parse_path(std::string_view path) {
  constexpr std::string_view prefix = "/dev/fdset/";
  if (!path.starts_with(prefix)) return std::nullopt;
  path.remove_prefix(prefix.size());
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), id);
  if (error != std::errc() || end != path.data() + path.size() || id < 0) return std::nullopt;
  return id;
}

}  // namespace

Result<FdSets::Added> FdSets::add(UniqueFd fd, std::optional<std::int64_t> id,
                                  std::optional<std::string> opaque) {
  if (id && *id < 0) return fail("Parameter 'fdset-id' expects a non-negative value");
  const std::lock_guard lock(mutex_);
  const std::int64_t chosen = id.value_or(lowest_free());
  const Added added{chosen, fd.get()};
  sets_[chosen].push_back({std::move(fd), std::move(opaque)});
  return added;
}

Result<> FdSets::remove(std::int64_t id, std::optional<std::int64_t> fd) {
  const std::lock_guard lock(mutex_);
  const auto set = sets_.find(id);
  if (set == sets_.end()) return not_found(id, fd);
  if (fd) {
    const auto removed =
        std::erase_if(set->second, [fd](const Owned& member) { return member.fd.get() == *fd; });
    if (removed == 0) return not_found(id, fd);
  } else {
    set->second.clear();
  }
  if (set->second.empty()) sets_.erase(set);
  return {};
}

std::vector<FdSets::Set> FdSets::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<Set> sets;
  sets.reserve(sets_.size());
  for (const auto& [id, members] : std::views::reverse(sets_)) sets.push_back(describe(id, members));
  return sets;
}

Result<UniqueFd> FdSets::open(std::string_view path, int flags) const {
  const auto id = parse_path(path);
  if (!id) return fail("Could not parse fdset {}", path);
  const auto refuse = [&](int error) {
    return system_error(fmt::format("Could not dup FD for {} flags {:x}", path, flags), error);
  };
  const std::lock_guard lock(mutex_);
  const auto set = sets_.find(*id);
  if (set == sets_.end()) return refuse(ENOENT);
  const auto fits = [flags](const Owned& member) {
    const int mode = ::fcntl(member.fd.get(), F_GETFL);
    return mode >= 0 && (mode & O_ACCMODE) == (flags & O_ACCMODE);
  };
  const auto member = std::ranges::find_if(set->second, fits);
  if (member == set->second.end()) return refuse(EACCES);
  return member->fd.duplicate();
}

void FdSets::clear() {
  const std::lock_guard lock(mutex_);
  sets_.clear();
}

std::int64_t FdSets::lowest_free() const {
  std::int64_t id = 0;
  while (sets_.contains(id)) ++id;
  return id;
}

FdSets::Set FdSets::describe(std::int64_t id, const std::vector<Owned>& members) {
  Set set{id, {}};
  set.members.reserve(members.size());
  for (const Owned& member : members) set.members.push_back({member.fd.get(), member.opaque});
  return set;
}

}  // namespace godwit::qmp
