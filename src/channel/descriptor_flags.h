// The file status flags that channels change.
#pragma once

namespace godwit::channel {

/// Turns O_NONBLOCK off or on. Returns whether the descriptor was blocking before.
bool set_blocking(int fd, bool blocking);

}  // namespace godwit::channel
