// Reads and writes that never wait, for sockets and for everything else.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "base/system.h"

namespace godwit::qmp {

struct Transfer {
  enum class Outcome : std::uint8_t { moved, would_block, ended, failed };
  Outcome outcome;
  std::size_t bytes = 0;
};

bool is_socket(int fd);

/// Reads once. Descriptors that come along are appended to `passed`, close-on-exec.
Transfer read_some(int fd, bool socket, std::span<char> into, std::vector<UniqueFd>& passed);

/// Writes once. A reader that is gone is `failed`, not a signal.
Transfer write_some(int fd, bool socket, std::string_view bytes);

}  // namespace godwit::qmp
