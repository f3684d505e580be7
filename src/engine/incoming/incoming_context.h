// What the destination's parts work with.
#pragma once

#include <chrono>

#include <godwit/guest.h>
#include <godwit/migration.h>

#include "base/clock.h"
#include "engine/settings.h"
#include "engine/status_machine.h"

namespace godwit::engine {

/// All that is referred to outlives the migration.
struct IncomingContext {
  Guest& guest;
  MigrationObserver& observer;
  Clock& clock;
  Settings& settings;
  StatusMachine& status;
  const MigrationOptions& options;
  bool exit_on_error = true;  ///< the observer is told of a failure to load
  /// How long a source may take to open all of its connections: it opens them at once.
  std::chrono::milliseconds arrival_patience{10'000};
};

}  // namespace godwit::engine
