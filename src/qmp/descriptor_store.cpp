#include "qmp/descriptor_store.h"

#include <utility>

#include "base/fail.h"

namespace godwit::qmp {

Result<> DescriptorStore::store(std::string name, UniqueFd fd) {
  if (!name.empty() && name[0] >= '0' && name[0] <= '9')
    return fail("Parameter 'fdname' expects a name not starting with a digit");
  const std::lock_guard lock(mutex_);
  named_[std::move(name)] = std::move(fd);
  return {};
}

Result<> DescriptorStore::close(std::string_view name) {
  if (!extract(name)) return fail("File descriptor named '{}' not found", name);
  return {};
}

Result<UniqueFd> DescriptorStore::take_named(std::string_view name) {
  UniqueFd fd = extract(name);
  if (!fd) return fail("File descriptor named '{}' has not been found", name);
  return fd;
}

UniqueFd DescriptorStore::extract(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto found = named_.find(name);
  if (found == named_.end()) return {};
  return std::move(named_.extract(found).mapped());
}

}  // namespace godwit::qmp
