// A dirty tracker for any memory of this process: emulated guests, embedders without KVM.
#pragma once

#include <memory>

#include <godwit/dirty_tracker.h>
#include <godwit/result.h>

namespace godwit {

/// Asynchronous userfault write protection where the kernel has it (6.7 and later), else the synchronous one.
/// The error says what each of them lacks and what to do about it.
Result<std::unique_ptr<DirtyTracker>> make_user_tracker();

}  // namespace godwit
