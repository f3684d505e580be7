// How the destination starts a guest that is its own from here on.
#pragma once

#include <godwit/guest.h>

#include "base/log.h"
#include "engine/guest_run_state.h"

namespace godwit::engine {

/// When it fails the guest does not run here, so that it may be given back. One that runs does so whatever
/// ran out behind its start.
inline Result<> start_guest(Guest& guest, RunState state) {
  auto started = set_run_state(guest, state);
  if (started || guest.run_state() != RunState::running) return started;
  log::warn("the guest runs: {}", started.error().what());
  return {};
}

}  // namespace godwit::engine
