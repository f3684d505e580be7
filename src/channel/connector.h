// Opens the outgoing end of a migration stream.
#pragma once

#include <functional>
#include <memory>

#include <godwit/descriptors.h>
#include <godwit/result.h>

#include "channel/address.h"
#include "channel/channel.h"
#include "channel/interrupt.h"

namespace godwit::channel {

/// Connects, or opens the file, or starts the command. Blocks, name lookup included, until it is done, has
/// failed, or `interrupt` is set; then it fails within milliseconds with `The connection attempt was
/// cancelled`.
///
/// Addresses that connects_at_once() names return without waiting. An existing file keeps the bytes in front
/// of the offset and loses those behind it. Errors: control-plane section 9.1, "Failures after setup".
Result<std::unique_ptr<Channel>> connect(const Address& address, DescriptorSource& descriptors,
                                         const Interrupt& interrupt);

/// How a source reaches its destination, once for each connection: as connect() does, to an address without
/// descriptors.
using Connect = std::function<Result<std::unique_ptr<Channel>>(const Address&, const Interrupt&)>;

}  // namespace godwit::channel
