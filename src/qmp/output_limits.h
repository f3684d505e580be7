#pragma once

#include <cstddef>

namespace godwit::qmp {

/// How much a client may leave unread: one that does not read must cost nobody else anything.
struct OutputLimits {
  std::size_t pause_bytes = 1024 * 1024;      ///< from here on its requests are neither read nor run
  std::size_t drop_bytes = 64 * 1024 * 1024;  ///< with more than this still unread, the next message ends it
};

}  // namespace godwit::qmp
