#include "channel/positioned_file.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <godwit/ram_block.h>

#include "base/fail.h"

namespace godwit::channel {
namespace {

std::unexpected<Error> cannot_be_direct(std::string why) {
  return fail(Error(std::move(why)).advise("turn direct-io off, or use a file on another file system"));
}

/// What the kernel says of the places that can be read and written without the page cache. Older kernels say
/// nothing, and refuse when it is done.
Result<> check_alignment(int fd) {
#ifdef STATX_DIOALIGN
  struct statx info{};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) != 0 || !(info.stx_mask & STATX_DIOALIGN))
    return {};
  if (info.stx_dio_offset_align == 0)
    return cannot_be_direct("direct-io: this file cannot be used without the page cache");
  const std::uint64_t needed = std::max(info.stx_dio_offset_align, info.stx_dio_mem_align);
  if (page_size % needed != 0)
    return cannot_be_direct(
        fmt::format("direct-io: this file system needs places that are multiples of {} bytes; pages have {}",
                    needed, page_size));
#else
  static_cast<void>(fd);
#endif
  return {};
}

}  // namespace

Result<std::unique_ptr<PositionedFile>> PositionedFile::open(const Channel& channel, Direction direction,
                                                             bool direct) {
  if (!channel.seekable()) return fail("Migration requires seekable transport (e.g. file)");
  const int flags = ::fcntl(channel.file(), F_GETFL);
  if (flags < 0) return system_error("Unable to look at the file", errno);
  // The kernel then writes at the end, whatever place is asked for.
  if (direction == Direction::outgoing && (flags & O_APPEND))
    return fail("the file '{}' is open for appending, and mapped-ram writes at fixed places", channel.peer());
  UniqueFd file(::fcntl(channel.file(), F_DUPFD_CLOEXEC, 0));
  if (!file) return system_error("cannot duplicate a descriptor", errno);
  const off_t start = ::lseek(file.get(), 0, SEEK_CUR);
  if (start < 0) return system_error("Unable to find the place in the file", errno);
  std::unique_ptr<PositionedFile> opened(
      new PositionedFile(std::move(file), static_cast<std::uint64_t>(start)));
  if (direct) GODWIT_TRY(opened->open_direct(direction == Direction::outgoing ? O_WRONLY : O_RDONLY));
  return opened;
}

/// The stream itself has bytes at any place, so it keeps its own open file; this one is a second one, also of
/// a file that has no name any more.
Result<> PositionedFile::open_direct(int access) {
  GODWIT_TRY(check_alignment(file_.get()));
  const std::string path = fmt::format("/proc/self/fd/{}", file_.get());
  direct_.reset(::open(path.c_str(), access | O_DIRECT | O_CLOEXEC));
  if (direct_) return {};
  if (errno == EINVAL)
    return cannot_be_direct("direct-io: this file system has no way around the page cache");
  return system_error("direct-io: cannot open the file a second time", errno);
}

Result<std::uint64_t> PositionedFile::position() const {
  const off_t here = ::lseek(file_.get(), 0, SEEK_CUR);
  if (here < 0) return system_error("Unable to find the place in the file", errno);
  return static_cast<std::uint64_t>(here);
}

Result<std::uint64_t> PositionedFile::size() const {
  struct stat info{};
  if (::fstat(file_.get(), &info) != 0) return system_error("Unable to look at the file", errno);
  if (S_ISREG(info.st_mode)) return static_cast<std::uint64_t>(info.st_size);
  // A block device. A second open file, so that the position of the channel stays.
  const UniqueFd again(::open(fmt::format("/proc/self/fd/{}", file_.get()).c_str(), O_RDONLY | O_CLOEXEC));
  const off_t end = again ? ::lseek(again.get(), 0, SEEK_END) : -1;
  if (end < 0) return system_error("Unable to find the size of the device", errno);
  return static_cast<std::uint64_t>(end);
}

Result<> PositionedFile::write_pages(std::uint64_t offset, std::span<const std::byte> pages) {
  assert(offset % page_size == 0 && pages.size() % page_size == 0);
  while (!pages.empty()) {
    const ssize_t count = ::pwrite(for_pages(), pages.data(), pages.size(), static_cast<off_t>(offset));
    if (count < 0 && errno != EINTR) return io_error("Unable to write to file", offset, errno);
    if (count <= 0) continue;
    pages = pages.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

Result<> PositionedFile::read_pages(std::uint64_t offset, std::span<std::byte> pages) {
  assert(offset % page_size == 0 && pages.size() % page_size == 0);
  while (!pages.empty()) {
    const ssize_t count = ::pread(for_pages(), pages.data(), pages.size(), static_cast<off_t>(offset));
    if (count < 0 && errno != EINTR) return io_error("Unable to read from file", offset, errno);
    if (count == 0) return fail("the file ends at offset {:#x}, in the middle of a page area", offset);
    if (count < 0) continue;
    pages = pages.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

Result<> PositionedFile::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno != EINTR) return io_error("Unable to write to file", offset, errno);
    if (count <= 0) continue;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

std::unexpected<Error> PositionedFile::io_error(const char* what, std::uint64_t offset,
                                                int error_number) const {
  auto failed = system_error(fmt::format("{} at offset {:#x}", what, offset), error_number);
  if (direct_ && error_number == EINVAL)
    return std::unexpected(
        std::move(failed).error().advise("turn direct-io off, or use a file on another file system"));
  return failed;
}

}  // namespace godwit::channel
