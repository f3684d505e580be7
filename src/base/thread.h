// Named threads with a stop token. Every thread of Godwit is made here and joined by its owner; none is
// detached.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include <godwit/error.h>

namespace godwit {

/// Told, on the thread itself and as the last thing it does, that `body` was left because memory, threads or
/// descriptors ran out: whoever waits for the thread learns it from here.
using OnExhaustion = std::function<void(Error)>;

/// Starts `body` on a thread that shows as `name` (at most 15 bytes) in /proc, with all signals blocked:
/// signals belong to the main thread. A thread that has to be, or cannot be told from the guest, finds its
/// own way with or_exhausted and with_reserve (base/exhaustion.h); where it leaves `body` nevertheless, the
/// process ends. Throws std::system_error.
std::jthread start_thread(std::string name, std::function<void(std::stop_token)> body,
                          OnExhaustion exhausted = nullptr);

/// The kernel's id of the calling thread, as `query-cpus-fast` reports it.
int current_thread_id();

}  // namespace godwit
