// Opens what a character device names.
#pragma once

#include <optional>
#include <string>

#include <godwit/result.h>

#include "base/system.h"
#include "qmp/endpoint.h"
#include "qmp/sockets.h"
#include "vm/process/process_config.h"

namespace godwit::vm {

/// Descriptors are close-on-exec. Those that are not there are none.
struct OpenChardev {
  UniqueFd input;
  UniqueFd output;
  std::optional<qmp::Listener> listener;  ///< a server's; input and output come with its first client
};

/// Files are created or truncated, clients are connected, servers listen when this returns. Waits for a TCP
/// server to answer, for nothing else. The error names the path or address.
Result<OpenChardev> open_chardev(const ChardevConfig& config);

/// The same for a monitor. Unset: kind null, which never has a client. A file is not among the kinds.
Result<std::optional<qmp::Endpoint>> monitor_endpoint(const ChardevConfig& config);

}  // namespace godwit::vm
