#include "channel/file_channel.h"

#include <cerrno>
#include <fcntl.h>
#include <limits>
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

Result<bool> FileChannel::pass_over(std::uint64_t count) {
  const off_t here = ::lseek(file_.get(), 0, SEEK_CUR);
  const int access = ::fcntl(file_.get(), F_GETFL);
  if (here < 0 || access < 0) return system_error("Unable to find the place in the file", errno);
  if (count > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max() - here)) return false;
  const off_t there = here + static_cast<off_t>(count);
  if ((access & O_ACCMODE) == O_RDONLY) {
    const off_t end = ::lseek(file_.get(), 0, SEEK_END);
    if (end < there) {
      if (end >= 0) ::lseek(file_.get(), here, SEEK_SET);
      return false;
    }
  }
  if (::lseek(file_.get(), there, SEEK_SET) < 0)
    return system_error(fmt::format("Unable to go to offset {:#x} of the file", there), errno);
  return true;
}

Result<> FileChannel::finish_writing() {
  if (shut_down_.load(std::memory_order_relaxed)) return fail("The channel was shut down");
  // Some file systems report a full disk only here.
  if (file_ && ::close(file_.release()) != 0) return system_error("Unable to write to file", errno);
  return {};
}

}  // namespace godwit::channel
