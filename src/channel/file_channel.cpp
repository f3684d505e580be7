#include "channel/file_channel.h"

#include <cerrno>
#include <unistd.h>

#include "base/fail.h"
#include "channel/iovec_cursor.h"

namespace godwit::channel {

Result<> FileChannel::write(std::span<const iovec> parts) {
  IovecCursor rest(parts);
  while (!rest.done()) {
    if (shut_down_.load(std::memory_order_relaxed)) return fail("The channel was shut down");
    const auto batch = rest.batch();
    const ssize_t count = ::writev(file_.get(), batch.data(), static_cast<int>(batch.size()));
    if (count >= 0) {
      rest.advance(static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      return system_error("Unable to write to file", errno);
    }
  }
  return {};
}

Result<std::size_t> FileChannel::read(std::span<const iovec> parts) {
  const auto batch = parts.first(std::min<std::size_t>(parts.size(), IOV_MAX));
  for (;;) {
    if (shut_down_.load(std::memory_order_relaxed)) return fail("The channel was shut down");
    const ssize_t count = ::readv(file_.get(), batch.data(), static_cast<int>(batch.size()));
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) return system_error("Unable to read from file", errno);
  }
}

Result<> FileChannel::finish_writing() {
  if (shut_down_.load(std::memory_order_relaxed)) return fail("The channel was shut down");
  // Some file systems report a full disk only here.
  if (file_ && ::close(file_.release()) != 0) return system_error("Unable to write to file", errno);
  return {};
}

}  // namespace godwit::channel
