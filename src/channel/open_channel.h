// Channels that exist at once: over a descriptor, a command, a file. Both directions use these.
#pragma once

#include <memory>
#include <string>

#include <godwit/descriptors.h>
#include <godwit/result.h>

#include "base/system.h"
#include "channel/address.h"
#include "channel/channel.h"

namespace godwit::channel {

/// A channel of the kind that suits the descriptor: socket, pipe, character device, file. `name` is what the
/// user called it, for errors and logs. Fails if it is none of these, or is not open for `direction`.
Result<std::unique_ptr<Channel>> open_descriptor(UniqueFd descriptor, const std::string& name,
                                                 Direction direction);

/// Outgoing creates the file, or cuts an existing one at the offset. Errors: `Could not create '/p': ...`,
/// `Could not open '/p': ...`.
Result<std::unique_ptr<Channel>> open_file(const File& file, DescriptorSource& descriptors,
                                           Direction direction);

/// rdma: as an error.
std::unexpected<Error> rdma_is_missing();

}  // namespace godwit::channel
