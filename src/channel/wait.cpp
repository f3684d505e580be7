#include "channel/wait.h"

#include <algorithm>
#include <cerrno>
#include <climits>

#include "base/system.h"

namespace godwit::channel {
namespace {

/// Rounded up, so that a wait never ends just before its deadline.
int milliseconds_left(Deadline deadline) {
  if (!deadline) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
}

}  // namespace

Result<bool> wait_for_any(std::span<pollfd> entries, Deadline deadline) {
  for (;;) {
    const int ready = ::poll(entries.data(), entries.size(), milliseconds_left(deadline));
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return system_error("cannot wait for a descriptor", errno);
  }
}

}  // namespace godwit::channel
