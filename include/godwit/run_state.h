// The run states of a virtual machine that a migration knows (control-plane section 3, wire-format
// section 11.1).
#pragma once

#include <godwit/schema/types.h>

namespace godwit {

/// Names as in the stream and in query-status: running, paused, finish_migrate, ...
using RunState = schema::RunState;

}  // namespace godwit
