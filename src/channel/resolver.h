// Name lookup that can be given up.
#pragma once

#include <vector>

#include <godwit/result.h>

#include "channel/address.h"
#include "channel/interrupt.h"
#include "channel/socket_address.h"

namespace godwit::channel {

enum class Purpose : std::uint8_t { connecting, listening };

/// Every stream address of `tcp`, in the order of preference of the system; at least one. An empty host is
/// any address for a listener, and an error for a connection.
///
/// The system's lookup cannot be stopped. If `interrupt` (may be null) is set first, this returns at once and
/// the lookup ends in its own time, on a thread that is joined by a later call or at the end of the process.
///
/// Errors: `address resolution failed for h:4444: Name or service not known`,
/// `Cannot disable IPv4 and IPv6 at same time`, `The connection attempt was cancelled`.
Result<std::vector<SocketAddress>> resolve(const Tcp& tcp, Purpose purpose, const Interrupt* interrupt);

}  // namespace godwit::channel
