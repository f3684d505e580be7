// Device state without RAM in a file of its own (control-plane section 9.10), and small conversions to the
// schema.
#pragma once

#include <string>

#include <godwit/guest.h>
#include <godwit/migration.h>

#include "channel/listener.h"

namespace godwit::engine {

/// Stops the guest, writes header and devices to `path` (truncating it), and lets it run again if it ran.
Result<> save_device_state_file(Guest& guest, const MigrationOptions& options, const std::string& path);

/// The guest is stopped. What was loaded before an error stays loaded.
Result<> load_device_state_file(Guest& guest, const MigrationOptions& options, const std::string& path);

schema::SocketAddress to_schema(const channel::ListeningAddress& address);

}  // namespace godwit::engine
