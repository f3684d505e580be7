// The best dirty tracker for memory that nobody but this process's page tables knows about: emulated guests,
// embedders.
#pragma once

#include <memory>

#include <godwit/dirty_tracker.h>
#include <godwit/result.h>

namespace godwit::memory {

/// Asynchronous userfault write protection where the kernel has it, else the synchronous one. The error says
/// what each of them lacks and what to do about it.
Result<std::unique_ptr<DirtyTracker>> best_user_tracker();

}  // namespace godwit::memory
