// Comparing extracted RAM, a stretch at a time, without looking at what is a hole in both files.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/system.h"
#include "cli/inspect/diff.h"
#include "cli/inspect/ram_image.h"

namespace godwit::cli::inspect {
namespace {

constexpr std::uint64_t stretch = 1024 * 1024;  ///< bytes; whole pages

struct File {
  UniqueFd fd;
  std::uint64_t size = 0;

  /// The first offset from `from` on at which there may be data; `size` if there is none.
  std::uint64_t data_from(std::uint64_t from) const {
    if (from >= size) return size;
    const off_t found = ::lseek(fd.get(), static_cast<off_t>(from), SEEK_DATA);
    if (found >= 0) return static_cast<std::uint64_t>(found);
    return errno == ENXIO ? size : from;  // a file system without holes has data everywhere
  }

  /// Zeros behind the end.
  Result<> read(std::uint64_t offset, std::span<std::byte> into) const {
    std::ranges::fill(into, std::byte{0});
    for (std::size_t done = 0; done < into.size();) {
      const auto got =
          ::pread(fd.get(), into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_error("cannot read extracted RAM", errno);
      if (got == 0) return {};
      done += static_cast<std::size_t>(got);
    }
    return {};
  }
};

Result<File> open_block(const std::string& directory, const std::string& block) {
  File file;
  const std::string path = directory + "/" + RamImage::file_name(block);
  file.fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status;
  if (!file.fd || ::fstat(file.fd.get(), &status) != 0) return system_error("cannot open " + path, errno);
  file.size = static_cast<std::uint64_t>(status.st_size);
  return file;
}

void add_page(RamDifference& difference, std::uint64_t page) {
  ++difference.pages;
  if (!difference.ranges.empty() && difference.ranges.back().first + difference.ranges.back().count == page) {
    ++difference.ranges.back().count;
    return;
  }
  if (difference.ranges.size() < Comparison::range_limit) difference.ranges.push_back({page, 1});
}

Result<RamDifference> compare_block(const std::string& name, const File& left, const File& right) {
  RamDifference difference{name, 0, {}};
  std::vector<std::byte> mine(stretch);
  std::vector<std::byte> theirs(stretch);
  const std::uint64_t end = std::max(left.size, right.size);
  for (std::uint64_t at = 0; at < end;) {
    const std::uint64_t data =
        std::min(at < left.size ? left.data_from(at) : end, at < right.size ? right.data_from(at) : end);
    at = std::max(at, data - data % page_size);
    if (at >= end) break;
    GODWIT_TRY(left.read(at, mine));
    GODWIT_TRY(right.read(at, theirs));
    if (std::memcmp(mine.data(), theirs.data(), stretch) != 0)
      for (std::uint64_t offset = 0; offset < stretch; offset += page_size)
        if (std::memcmp(mine.data() + offset, theirs.data() + offset, page_size) != 0)
          add_page(difference, (at + offset) / page_size);
    at += stretch;
  }
  return difference;
}

}  // namespace

Result<> compare_ram(const Inspection& left_stream, const std::string& left, const Inspection& right_stream,
                     const std::string& right, Comparison& comparison) {
  for (const Block& block : left_stream.blocks) {
    const auto& name = block.entry.name;
    const auto other =
        std::ranges::find_if(right_stream.blocks, [&](const Block& b) { return b.entry.name == name; });
    if (other == right_stream.blocks.end()) continue;
    GODWIT_ASSIGN(const File mine, open_block(left, name));
    GODWIT_ASSIGN(const File theirs, open_block(right, name));
    GODWIT_ASSIGN(RamDifference difference, compare_block(name, mine, theirs));
    if (difference.pages > 0) comparison.ram.push_back(std::move(difference));
  }
  return {};
}

}  // namespace godwit::cli::inspect
