#include "channel/descriptor_flags.h"

#include <fcntl.h>

namespace godwit::channel {

bool set_blocking(int fd, bool blocking) {
  const int before = ::fcntl(fd, F_GETFL);
  const int after = blocking ? before & ~O_NONBLOCK : before | O_NONBLOCK;
  if (before >= 0 && after != before) ::fcntl(fd, F_SETFL, after);
  return (before & O_NONBLOCK) == 0;
}

}  // namespace godwit::channel
