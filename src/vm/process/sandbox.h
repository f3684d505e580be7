// What the process gives up before it meets a peer: privileges it does not have yet, and system calls that a
// virtual machine monitor has no use for (docs/decisions/0007-confinement.md).
#pragma once

#include <godwit/result.h>

namespace godwit::vm {

/// -sandbox, with the names and meanings of QEMU's option where it has them.
struct SandboxConfig {
  bool on = true;
  bool spawn = true;              ///< programs may be started: exec: needs it
  bool resource_control = false;  ///< priorities and processor affinities may be set
};

/// From here on, for this thread, those it starts and the programs that are started: no new privileges, and
/// what is not allowed fails with EPERM. An error leaves the process as it was.
Result<> confine(const SandboxConfig& config);

}  // namespace godwit::vm
