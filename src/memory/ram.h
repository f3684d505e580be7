// Allocation of guest RAM.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <godwit/ram_block.h>
#include <godwit/result.h>

#include "base/system.h"

namespace godwit::memory {

enum class RamSource : std::uint8_t {
  anonymous,  ///< nobody else can map it, unless it is shared and they are given its descriptor
  memfd,      ///< a file without a name
  file,       ///< a file, or an unlinked one in a directory
};

struct RamOptions {
  RamSource source = RamSource::anonymous;
  std::uint64_t size = 0;  ///< bytes; a multiple of the page size of what is behind it
  bool shared = false;     ///< MAP_SHARED: who maps the same file sees writes
  /// For file. Missing: made with this size. Empty: grown to it. Larger: its start is used. Smaller: an
  /// error. A directory: an unlinked file in it, so that a mounted hugetlbfs or tmpfs can be named.
  std::string path = {};
  /// Bytes; take ordinary anonymous memory or a memfd from the machine's pool of huge pages of this size. 0:
  /// ordinary pages. Not for file, where the file system decides.
  std::uint64_t huge_page_size = 0;
  bool prealloc = false;  ///< give every page its memory now, or fail now
  /// Ask for transparent huge pages, for anonymous memory and memfds of ordinary pages. On by default: a
  /// guest has two translations per access, and first touch takes 512 times fewer faults. Dirty tracking by
  /// userfault splits them where the guest writes. Off keeps sparse guests small.
  bool transparent_huge_pages = true;
  bool dump = false;  ///< include it in core dumps
};

/// Owns the memory. Movable; the memory stays where it is.
class GuestRam {
 public:
  static Result<GuestRam> create(const RamOptions& options);

  std::byte* host() const { return mapping_.data(); }
  std::uint64_t size() const { return mapping_.size(); }
  std::uint64_t host_page_size() const { return host_page_size_; }
  bool shared() const { return shared_; }
  /// The file behind it, which stays owned by this; -1 for private anonymous memory.
  int fd() const { return fd_.get(); }

  /// As the engine sees it. Valid as long as this lives.
  RamBlock block(std::string name, std::uint64_t guest_address = 0) const;

 private:
  GuestRam(Mapping mapping, UniqueFd fd, std::uint64_t host_page_size, bool shared,
           bool transparent_huge_pages)
      : mapping_(std::move(mapping)),
        fd_(std::move(fd)),
        host_page_size_(host_page_size),
        shared_(shared),
        transparent_huge_pages_(transparent_huge_pages) {}

  Mapping mapping_;
  UniqueFd fd_;
  std::uint64_t host_page_size_ = page_size;
  bool shared_ = false;
  bool transparent_huge_pages_ = false;
};

}  // namespace godwit::memory
