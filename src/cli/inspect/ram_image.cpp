#include "cli/inspect/ram_image.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "wire/walker.h"

namespace godwit::cli::inspect {
namespace {

constexpr std::size_t run_limit = 1024 * 1024;  ///< bytes

}  // namespace

std::string RamImage::file_name(std::string_view block) {
  std::string name;
  for (const char c : block) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == ':' ||
                       c == '@' || (c == '.' && !name.empty());
    if (plain)
      name += c;
    else
      name += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return name + ".ram";
}

Result<RamImage> RamImage::create(std::string directory) {
  if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST)
    return system_error("cannot make the directory " + directory, errno);
  return RamImage(std::move(directory));
}

Result<> RamImage::add_blocks(std::span<const wire::BlockEntry> blocks) {
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (i < parts_.size()) {
      if (parts_[i].name != blocks[i].name)
        return fail("expected block '{}' in another block list, got '{}'", parts_[i].name, blocks[i].name);
      continue;
    }
    Part part{blocks[i].name, directory_ + "/" + file_name(blocks[i].name), UniqueFd()};
    part.file.reset(::open(part.path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!part.file) return system_error("cannot create " + part.path, errno);
    const bool sized = blocks[i].length != wire::unknown_block_length;
    if (sized && ::ftruncate(part.file.get(), static_cast<off_t>(blocks[i].length)) != 0)
      return system_error(fmt::format("cannot make {} {} bytes long", part.path, blocks[i].length), errno);
    parts_.push_back(std::move(part));
  }
  return {};
}

Result<> RamImage::write(std::uint32_t block, std::uint64_t offset, std::span<const std::byte> page) {
  const bool follows = block == run_block_ && offset == run_offset_ + run_.size();
  if (!run_.empty() && (!follows || run_.size() >= run_limit)) GODWIT_TRY(flush());
  if (run_.empty()) {
    run_block_ = block;
    run_offset_ = offset;
  }
  run_.insert(run_.end(), page.begin(), page.end());
  written_.add(block, offset / page_size);
  return {};
}

Result<> RamImage::fill(std::uint32_t block, std::uint64_t offset, std::byte value) {
  // What was never written is a hole already.
  if (value == std::byte{0} && written_.add(block, offset / page_size)) return {};
  std::array<std::byte, page_size> page;
  page.fill(value);
  return write(block, offset, page);
}

Result<> RamImage::read(std::uint32_t block, std::uint64_t offset, std::span<std::byte> page) {
  GODWIT_TRY(flush());
  std::size_t done = 0;
  while (done < page.size()) {
    const auto got = ::pread(parts_[block].file.get(), page.data() + done, page.size() - done,
                             static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("cannot read " + parts_[block].path, errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  std::ranges::fill(page.subspan(done), std::byte{0});  // a file of unknown length ends where it ends
  return {};
}

Result<> RamImage::flush() {
  std::size_t done = 0;
  while (done < run_.size()) {
    const auto put = ::pwrite(parts_[run_block_].file.get(), run_.data() + done, run_.size() - done,
                              static_cast<off_t>(run_offset_ + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return system_error("cannot write " + parts_[run_block_].path, errno);
    done += static_cast<std::size_t>(put);
  }
  run_.clear();
  return {};
}

}  // namespace godwit::cli::inspect
