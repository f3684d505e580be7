#include "qmp/context.h"

namespace godwit::qmp {

Result<UniqueFd> Context::take_passed_descriptor() {
  if (passed_.empty()) return fail(Error("No file descriptor supplied via SCM_RIGHTS"));
  UniqueFd first = std::move(passed_.front());
  passed_.clear();
  return first;
}

}  // namespace godwit::qmp
