// What must be tried even where memory is short: a guest that belongs here runs, or stands still.
#pragma once

#include <godwit/guest.h>

#include "base/exhaustion.h"

namespace godwit::engine {

/// Twice if need be, the second time with the memory that is kept for it. Out of memory is an error like
/// the guest's own.
inline Result<> set_run_state(Guest& guest, RunState state) {
  return or_exhausted([&] { return with_reserve([&] { return guest.set_run_state(state); }); });
}

}  // namespace godwit::engine
