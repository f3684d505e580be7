#include <godwit/descriptors.h>

#include "base/fail.h"
#include "base/system.h"

namespace godwit {

Result<UniqueFd> NoDescriptors::take_named(std::string_view name) {
  return fail("File descriptor named '{}' has not been found", name);
}

Result<UniqueFd> NoDescriptors::open_fdset(std::string_view path, int) {
  return fail("Could not open '{}': there are no descriptor sets", path);
}

}  // namespace godwit
