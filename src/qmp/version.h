// What the monitor says it is.
#pragma once

#include <godwit/schema/types.h>

namespace godwit::qmp {

/// Clients choose features by the version, so it is that of the QEMU whose behaviour we follow; the package
/// names ourselves.
schema::VersionInfo monitor_version();

}  // namespace godwit::qmp
