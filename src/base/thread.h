// Named threads with a stop token. Every thread of Godwit is made here and joined by its owner; none is
// detached.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace godwit {

/// Starts `body` on a thread that shows as `name` (at most 15 bytes) in /proc, with all signals blocked:
/// signals belong to the main thread.
std::jthread start_thread(std::string name, std::function<void(std::stop_token)> body);

/// The kernel's id of the calling thread, as `query-cpus-fast` reports it.
int current_thread_id();

}  // namespace godwit
