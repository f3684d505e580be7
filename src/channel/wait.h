// Waiting for a descriptor without losing the ability to be woken.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <poll.h>
#include <span>

#include <godwit/result.h>

namespace godwit::channel {

using Deadline = std::optional<std::chrono::steady_clock::time_point>;

/// poll() that goes on after signals. False if the deadline passed; without one it waits for ever. Entries
/// with a descriptor of -1 are ignored; `revents` tells the others.
Result<bool> wait_for_any(std::span<pollfd> entries, Deadline deadline = std::nullopt);

/// The same with a deadline that may be shorter than a millisecond, and without sleeping for the first
/// `awake`: to be woken costs more than a short wait. It keeps its processor for that long: beside a thread
/// that never sleeps, to offer it once can take milliseconds to get it back. While awake it also tries
/// `fetch`, which gets what is expected most; where that is there it is true without a look at the entries.
Result<bool> wait_awake(std::span<pollfd> entries, std::chrono::nanoseconds awake, Deadline deadline,
                        const std::function<bool()>& fetch);

}  // namespace godwit::channel
