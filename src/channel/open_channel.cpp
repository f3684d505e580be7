#include "channel/open_channel.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/fail.h"
#include "channel/file_channel.h"
#include "channel/pipe_channel.h"
#include "channel/socket_channel.h"

namespace godwit::channel {
namespace {

/// What the file type of a descriptor is called in an error.
std::string_view file_type_name(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return "a directory";
    case S_IFIFO:
      return "a pipe";
    case S_IFSOCK:
      return "a socket";
    default:
      return "of a kind that carries no stream";
  }
}

bool is_stream_socket(int fd) {
  int type = 0;
  socklen_t length = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
}

Result<> check_access(int fd, const std::string& name, Direction direction) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return system_error(fmt::format("File descriptor '{}'", name), errno);
  const int refused = direction == Direction::outgoing ? O_RDONLY : O_WRONLY;
  if ((flags & O_ACCMODE) == refused || (flags & O_PATH))
    return fail("File descriptor '{}' is not open for {}", name,
                direction == Direction::outgoing ? "writing" : "reading");
  return {};
}

Result<PipeChannel::Ends> ends_of_device(UniqueFd device, Direction direction) {
  PipeChannel::Ends ends;
  if ((::fcntl(device.get(), F_GETFL) & O_ACCMODE) == O_RDWR) {
    GODWIT_ASSIGN(ends.from_peer, device.duplicate());
    ends.to_peer = std::move(device);
  } else {
    (direction == Direction::outgoing ? ends.to_peer : ends.from_peer) = std::move(device);
  }
  return ends;
}

Result<UniqueFd> open_path(const File& file, DescriptorSource& descriptors, Direction direction) {
  const bool outgoing = direction == Direction::outgoing;
  const int access = outgoing ? O_WRONLY : O_RDONLY;
  if (file.path.starts_with("/dev/fdset/")) return descriptors.open_fdset(file.path, access);
  // Non-blocking, so that a pipe of that name is refused below instead of waited for. RAM is nobody else's
  // business.
  UniqueFd fd(::open(file.path.c_str(), access | O_CLOEXEC | O_NONBLOCK | (outgoing ? O_CREAT : 0), 0600));
  if (!fd)
    return system_error(fmt::format("Could not {} '{}'", outgoing ? "create" : "open", file.path), errno);
  return fd;
}

}  // namespace

Result<std::unique_ptr<Channel>> open_descriptor(UniqueFd descriptor, const std::string& name,
                                                 Direction direction) {
  struct stat status{};
  if (::fstat(descriptor.get(), &status) != 0)
    return system_error(fmt::format("File descriptor '{}'", name), errno);
  GODWIT_TRY(check_access(descriptor.get(), name, direction));
  switch (status.st_mode & S_IFMT) {
    case S_IFSOCK:
      if (!is_stream_socket(descriptor.get()))
        return fail("File descriptor '{}' is not a stream socket", name);
      return std::make_unique<SocketChannel>(std::move(descriptor), "fd:" + name,
                                             SocketChannel::Origin::handed_over);
    case S_IFREG:
    case S_IFBLK:
      return std::make_unique<FileChannel>(std::move(descriptor), "fd:" + name);
    case S_IFIFO: {
      PipeChannel::Ends ends;
      (direction == Direction::outgoing ? ends.to_peer : ends.from_peer) = std::move(descriptor);
      return std::make_unique<PipeChannel>(std::move(ends), "fd:" + name);
    }
    case S_IFCHR: {
      GODWIT_ASSIGN(auto ends, ends_of_device(std::move(descriptor), direction));
      return std::make_unique<PipeChannel>(std::move(ends), "fd:" + name, "device");
    }
    default:
      return fail("File descriptor '{}' is {}", name, file_type_name(status.st_mode));
  }
}

Result<std::unique_ptr<Channel>> open_file(const File& file, DescriptorSource& descriptors,
                                           Direction direction) {
  GODWIT_ASSIGN(auto fd, open_path(file, descriptors, direction));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0)
    return system_error(fmt::format("Could not open '{}'", file.path), errno);
  const bool regular = S_ISREG(status.st_mode);
  if (!regular && !S_ISBLK(status.st_mode) && !S_ISCHR(status.st_mode))
    return fail("'{}' is {}, not a file", file.path, file_type_name(status.st_mode));
  if (S_ISCHR(status.st_mode) && file.offset == 0) {
    PipeChannel::Ends ends;
    (direction == Direction::outgoing ? ends.to_peer : ends.from_peer) = std::move(fd);
    return std::make_unique<PipeChannel>(std::move(ends), file.path, "file");
  }
  // Only where there is something to cut: ext4 takes it for the replacement of a file, and writes all of the
  // new one to disk when it is closed.
  if (direction == Direction::outgoing && regular && status.st_size != static_cast<off_t>(file.offset) &&
      ::ftruncate(fd.get(), static_cast<off_t>(file.offset)) != 0)
    return system_error(fmt::format("Could not cut '{}' at offset {}", file.path, file.offset), errno);
  if (::lseek(fd.get(), static_cast<off_t>(file.offset), SEEK_SET) < 0)
    return system_error(fmt::format("Could not go to offset {} of '{}'", file.offset, file.path), errno);
  return std::make_unique<FileChannel>(std::move(fd), file.path);
}

std::unexpected<Error> rdma_is_missing() {
  return fail(Error("RDMA ERROR: this version has no rdma transport").advise("use tcp: or unix:"));
}

}  // namespace godwit::channel
