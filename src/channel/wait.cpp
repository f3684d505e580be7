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

Result<bool> wait_awake(std::span<pollfd> entries, std::chrono::nanoseconds awake, Deadline deadline,
                        const std::function<bool()>& fetch) {
  const auto sleep_at = std::chrono::steady_clock::now() + awake;
  for (auto now = sleep_at - awake; now < sleep_at; now = std::chrono::steady_clock::now()) {
    if (deadline && now >= *deadline) break;
    if (fetch()) {
      for (pollfd& entry : entries) entry.revents = 0;
      return true;
    }
    const int ready = ::poll(entries.data(), entries.size(), 0);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return system_error("cannot wait for a descriptor", errno);
  }
  for (;;) {
    timespec left{};
    if (deadline) {
      const auto rest = std::max(std::chrono::nanoseconds(0),
                                 std::chrono::nanoseconds(*deadline - std::chrono::steady_clock::now()));
      left = {.tv_sec = rest.count() / 1'000'000'000, .tv_nsec = rest.count() % 1'000'000'000};
    }
    const int ready = ::ppoll(entries.data(), entries.size(), deadline ? &left : nullptr, nullptr);
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return system_error("cannot wait for a descriptor", errno);
  }
}

}  // namespace godwit::channel
