// Device state without RAM in a file of its own (control-plane section 9.10).
#pragma once

#include <string>

#include <godwit/guest.h>
#include <godwit/migration.h>

namespace godwit::engine {

/// Stops the guest, writes header and devices to `path` (truncating it), and lets it run again if it ran.
Result<> save_device_state_file(Guest& guest, const MigrationOptions& options, const std::string& path);

/// The guest is stopped. What was loaded before an error stays loaded.
Result<> load_device_state_file(Guest& guest, const MigrationOptions& options, const std::string& path);

}  // namespace godwit::engine
