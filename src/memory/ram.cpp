#include "memory/ram.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fail.h"
#include "memory/kernel_abi.h"

namespace godwit::memory {
namespace {

constexpr std::uint64_t transparent_huge_page = 2 * 1024 * 1024;

/// What the memory is a mapping of.
struct Backing {
  UniqueFd fd;
  std::uint64_t host_page_size = page_size;
  std::string made;  ///< path of a file that did not exist before
};

std::uint64_t page_size_behind(int fd) {
  struct statfs info{};
  if (::fstatfs(fd, &info) == 0 && info.f_type == HUGETLBFS_MAGIC)
    return static_cast<std::uint64_t>(info.f_bsize);
  return page_size;
}

Result<> set_size(int fd, std::uint64_t size, std::string_view what) {
  if (::ftruncate(fd, static_cast<off_t>(size)) == 0) return {};
  return system_error(fmt::format("cannot make {} {} bytes long", what, size), errno);
}

Result<Backing> open_memfd(const RamOptions& options) {
  unsigned flags = MFD_CLOEXEC;
  if (options.huge_page_size != 0) {
    if (!std::has_single_bit(options.huge_page_size))
      return fail("a huge page size is a power of two; not {}", options.huge_page_size);
    flags |= MFD_HUGETLB | static_cast<unsigned>(std::countr_zero(options.huge_page_size)) << MFD_HUGE_SHIFT;
  }
  Backing backing;
  backing.fd.reset(::memfd_create("godwit-ram", flags));
  if (!backing.fd) {
    if (options.huge_page_size != 0 && errno == ENODEV)
      return fail("this machine has no huge pages of {} bytes", options.huge_page_size);
    return system_error("cannot make a memfd", errno);
  }
  GODWIT_TRY(set_size(backing.fd.get(), options.size, "the memfd"));
  backing.host_page_size = page_size_behind(backing.fd.get());
  return backing;
}

Result<UniqueFd> open_unlinked_in(const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd) return fd;
  // File systems without O_TMPFILE, hugetlbfs among them.
  std::string name = directory + "/godwit-ram.XXXXXX";
  fd.reset(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd) return system_error(fmt::format("cannot make a file for guest RAM in '{}'", directory), errno);
  ::unlink(name.c_str());
  return fd;
}

/// Sees to the length of a file that is there already.
Result<> fit(int fd, const RamOptions& options) {
  struct stat info{};
  if (::fstat(fd, &info) < 0) return system_error(fmt::format("cannot look at '{}'", options.path), errno);
  if (!S_ISREG(info.st_mode)) return fail("'{}' is neither a file nor a directory", options.path);
  const auto length = static_cast<std::uint64_t>(info.st_size);
  if (length == 0) return set_size(fd, options.size, fmt::format("'{}'", options.path));
  if (length < options.size)
    return fail("'{}' has {} bytes, and guest RAM needs {}", options.path, length, options.size);
  return {};
}

Result<Backing> open_file(const RamOptions& options) {
  Backing backing;
  struct stat info{};
  if (::stat(options.path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    GODWIT_ASSIGN(backing.fd, open_unlinked_in(options.path));
    GODWIT_TRY(set_size(backing.fd.get(), options.size, fmt::format("a file in '{}'", options.path)));
  } else {
    backing.fd.reset(::open(options.path.c_str(), O_RDWR | O_CLOEXEC));
    if (!backing.fd && errno == ENOENT) {
      backing.fd.reset(::open(options.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
      if (backing.fd) backing.made = options.path;
    }
    if (!backing.fd) return system_error(fmt::format("cannot open '{}' for guest RAM", options.path), errno);
    if (auto fitted = fit(backing.fd.get(), options); !fitted) {
      if (!backing.made.empty()) ::unlink(backing.made.c_str());
      return std::unexpected<Error>(std::move(fitted).error());
    }
  }
  backing.host_page_size = page_size_behind(backing.fd.get());
  return backing;
}

Result<Backing> open_backing(const RamOptions& options) {
  switch (options.source) {
    case RamSource::anonymous:
      // Shared anonymous memory is a memfd in the kernel as well; with one of our own, holes can be asked
      // for.
      if (options.shared || options.huge_page_size != 0) return open_memfd(options);
      return Backing{};
    case RamSource::memfd:
      return open_memfd(options);
    case RamSource::file:
      return open_file(options);
  }
  return fail("no such source of guest RAM");
}

std::unexpected<Error> no_room(const RamOptions& options, const Backing& backing, int why) {
  auto error = system_error(fmt::format("cannot map {} bytes of guest RAM", options.size), why).error();
  if (backing.host_page_size != page_size && why == ENOMEM)
    error = std::move(error).advise(fmt::format("provide huge pages of {} KiB: /proc/sys/vm/nr_hugepages",
                                                backing.host_page_size / 1024));
  return std::unexpected<Error>(std::move(error));
}

/// Maps at a multiple of the (transparent) huge page size, so that huge pages of host and guest can coincide.
Result<Mapping> map_aligned(const RamOptions& options, const Backing& backing) {
  const std::uint64_t alignment = std::max(transparent_huge_page, backing.host_page_size);
  const std::uint64_t room = options.size + alignment;
  if (room < options.size) return no_room(options, backing, ENOMEM);
  void* reserved = ::mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return no_room(options, backing, errno);

  const auto before = reinterpret_cast<std::uintptr_t>(reserved);
  const auto start = (before + alignment - 1) / alignment * alignment;
  const int sharing = options.shared ? MAP_SHARED : MAP_PRIVATE;
  const int kind = backing.fd ? 0 : MAP_ANONYMOUS;
  void* address = ::mmap(reinterpret_cast<void*>(start), options.size, PROT_READ | PROT_WRITE,
                         sharing | kind | MAP_FIXED, backing.fd.get(), 0);
  if (address == MAP_FAILED) {
    const int why = errno;
    ::munmap(reserved, room);
    return no_room(options, backing, why);
  }
  // What is left of the reservation, in front and behind.
  if (start != before) ::munmap(reserved, start - before);
  ::munmap(reinterpret_cast<void*>(start + options.size), before + room - (start + options.size));
  return Mapping(address, options.size);
}

Result<> preallocate(const Mapping& mapping) {
  if (::madvise(mapping.data(), mapping.size(), madv_populate_write) == 0) return {};
  if (errno != EINVAL)
    return system_error(fmt::format("cannot preallocate {} bytes of guest RAM", mapping.size()),
                        errno == EFAULT ? ENOSPC : errno);  // EFAULT: the file system could not give a page
  // Before Linux 5.14. A file system without room kills the process here.
  for (std::uint64_t offset = 0; offset < mapping.size(); offset += page_size) {
    auto* byte = reinterpret_cast<volatile unsigned char*>(mapping.data() + offset);
    *byte = *byte;
  }
  return {};
}

/// Whether the kernel makes huge pages of the small ones where it is asked to.
bool can_be_huge(const RamOptions& options, const Backing& backing) {
  return options.source != RamSource::file && backing.host_page_size == page_size;
}

void advise(const RamOptions& options, const Backing& backing, const Mapping& mapping) {
  // Hints: a kernel that does not know one is none the worse for it.
  // Children only live until exec; copying page tables for them, and pages the guest writes meanwhile, is for
  // nothing.
  ::madvise(mapping.data(), mapping.size(), MADV_DONTFORK);
  if (!options.dump) ::madvise(mapping.data(), mapping.size(), MADV_DONTDUMP);
  if (can_be_huge(options, backing))
    ::madvise(mapping.data(), mapping.size(),
              options.transparent_huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

}  // namespace

Result<GuestRam> GuestRam::create(const RamOptions& options) {
  if (options.size == 0 || options.size % page_size != 0)
    return fail("the size of guest RAM is a multiple of {} bytes; not {}", page_size, options.size);
  GODWIT_ASSIGN(Backing backing, open_backing(options));
  auto mapping = [&]() -> Result<Mapping> {
    if (options.size % backing.host_page_size != 0)
      return fail("guest RAM of {} bytes is not a multiple of the huge page size, {} bytes", options.size,
                  backing.host_page_size);
    GODWIT_ASSIGN(Mapping mapped, map_aligned(options, backing));
    advise(options, backing, mapped);
    if (options.prealloc) GODWIT_TRY(preallocate(mapped));
    return mapped;
  }();
  if (!mapping) {
    if (!backing.made.empty()) ::unlink(backing.made.c_str());
    return std::unexpected<Error>(std::move(mapping).error());
  }
  const bool huge = options.transparent_huge_pages && can_be_huge(options, backing);
  return GuestRam(*std::move(mapping), std::move(backing.fd), backing.host_page_size, options.shared, huge);
}

RamBlock GuestRam::block(std::string name, std::uint64_t guest_address) const {
  return {.name = std::move(name),
          .host = host(),
          .size = size(),
          .host_page_size = host_page_size_,
          .guest_address = guest_address,
          .shared = shared_,
          .transparent_huge_pages = transparent_huge_pages_,
          .fd = fd()};
}

}  // namespace godwit::memory
