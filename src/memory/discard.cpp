#include "memory/discard.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/system.h"

namespace godwit::memory {
namespace {

std::unexpected<Error> failed(const RamBlock& block, std::uint64_t length, int why) {
  auto error =
      system_error(fmt::format("block '{}': cannot give {} bytes of memory back", block.name, length), why)
          .error();
  if (why == EINVAL) error = std::move(error).advise("do not lock the guest's memory (-overcommit mem-lock)");
  return std::unexpected<Error>(std::move(error));
}

/// A file without a name is nobody's but the guest's: with its pages dropped, nothing shows through.
bool is_memfd(int fd) {
  std::array<char, 64> target{};
  const auto link = fmt::format("/proc/self/fd/{}", fd);
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  return length > 0 &&
         std::string_view(target.data(), static_cast<std::size_t>(length)).starts_with("/memfd:");
}

}  // namespace

Result<> discard_pages(const RamBlock& block, PageRange range) {
  if (range.count == 0) return {};
  const std::uint64_t offset = range.first * page_size;
  const std::uint64_t length = range.count * page_size;
  if (block.fd >= 0 && (block.shared || is_memfd(block.fd))) {
    const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (::fallocate(block.fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length)) < 0)
      return failed(block, length, errno);
    if (block.shared) return {};
  }
  const int advice = block.shared ? MADV_REMOVE : MADV_DONTNEED;
  if (::madvise(block.host + offset, length, advice) == 0) return {};
  return failed(block, length, errno);
}

bool file_shows_through(const RamBlock& block) {
  if (block.shared || block.fd < 0 || is_memfd(block.fd)) return false;
  if (block.host_page_size != page_size) {
    // hugetlbfs does not say where its data is, only how much there is.
    struct stat info{};
    return ::fstat(block.fd, &info) != 0 || info.st_blocks != 0;
  }
  const off_t data = ::lseek(block.fd, 0, SEEK_DATA);
  return data >= 0 && static_cast<std::uint64_t>(data) < block.size;
}

}  // namespace godwit::memory
