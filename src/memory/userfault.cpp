#include "memory/userfault.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fail.h"
#include "memory/kernel_abi.h"

namespace godwit::memory {
namespace {

struct Feature {
  std::uint64_t bit;
  std::string_view name;
  std::string_view since;
};

constexpr std::array features_by_name{
    Feature{UFFD_FEATURE_MISSING_HUGETLBFS, "MISSING_HUGETLBFS", "4.11"},
    Feature{UFFD_FEATURE_MISSING_SHMEM, "MISSING_SHMEM", "4.11"},
    Feature{UFFD_FEATURE_THREAD_ID, "THREAD_ID", "4.14"},
    Feature{UFFD_FEATURE_PAGEFAULT_FLAG_WP, "PAGEFAULT_FLAG_WP", "5.7"},
    Feature{UFFD_FEATURE_WP_HUGETLBFS_SHMEM, "WP_HUGETLBFS_SHMEM", "5.19"},
    Feature{uffd_feature_wp_unpopulated, "WP_UNPOPULATED", "6.4"},
    Feature{uffd_feature_wp_async, "WP_ASYNC", "6.7"},
};

int open_userfaultfd(int flags) {
  return static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | flags));
}

std::unexpected<Error> not_permitted() {
  return std::unexpected<Error>(
      Error("userfaultfd is not permitted to this process")
          .advise("run with CAP_SYS_PTRACE, give access to /dev/userfaultfd, or set "
                  "/proc/sys/vm/unprivileged_userfaultfd to 1; in a container, allow the system call "
                  "userfaultfd"));
}

Result<UniqueFd> open_descriptor(Userfault::Reach reach) {
  UniqueFd fd(open_userfaultfd(0));
  if (fd) return fd;
  if (errno == ENOSYS)
    return fail("this kernel has no userfaultfd (it was built without CONFIG_USERFAULTFD)");
  if (errno != EPERM) return system_error("cannot make a userfaultfd", errno);

  // Not by the system call; perhaps by the device, which has ordinary permissions.
  if (const UniqueFd device(::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC)); device) {
    fd.reset(::ioctl(device.get(), uffd_ioc_new, O_CLOEXEC | O_NONBLOCK));
    if (fd) return fd;
  }
  if (reach == Userfault::Reach::user_mode_suffices) {
    fd.reset(open_userfaultfd(uffd_user_mode_only));
    if (fd) return fd;
  }
  return not_permitted();
}

/// Bytes that are protected or dismissed at a time. About a millisecond where pages are small.
std::uint64_t piece_of(const RamBlock& block) {
  return std::max<std::uint64_t>(16 * 1024 * 1024, block.host_page_size);
}

}  // namespace

Result<std::uint64_t> Userfault::supported_features() {
  GODWIT_ASSIGN(const UniqueFd fd, open_descriptor(Reach::user_mode_suffices));
  uffdio_api api{.api = UFFD_API, .features = 0, .ioctls = 0};
  if (::ioctl(fd.get(), UFFDIO_API, &api) < 0) return system_error("UFFDIO_API failed", errno);
  return api.features;
}

Result<Userfault> Userfault::open(std::uint64_t features, Reach reach) {
  GODWIT_ASSIGN(const std::uint64_t supported, supported_features());
  for (const Feature& feature : features_by_name)
    if (features & ~supported & feature.bit)
      return fail("userfaultfd of this kernel lacks {} (Linux {} and later have it)", feature.name,
                  feature.since);

  GODWIT_ASSIGN(UniqueFd fd, open_descriptor(reach));
  uffdio_api api{.api = UFFD_API, .features = features, .ioctls = 0};
  if (::ioctl(fd.get(), UFFDIO_API, &api) < 0)
    return system_error(fmt::format("userfaultfd refuses the features {:#x}", features), errno);
  return Userfault(std::move(fd));
}

Result<> Userfault::enlist(const RamBlock& block) {
  return enlist(block, UFFDIO_REGISTER_MODE_WP, 0);
}

Result<> Userfault::enlist_missing(const RamBlock& block) {
  return enlist(block, UFFDIO_REGISTER_MODE_MISSING, std::uint64_t{1} << _UFFDIO_COPY);
}

Result<> Userfault::enlist(const RamBlock& block, std::uint64_t mode, std::uint64_t needed_ioctl) {
  uffdio_register request{};
  request.range = {.start = reinterpret_cast<std::uintptr_t>(block.host), .len = block.size};
  request.mode = mode;
  if (::ioctl(fd_.get(), UFFDIO_REGISTER, &request) == 0) {
    if ((request.ioctls & needed_ioctl) == needed_ioctl) return {};
    return fail("block '{}': userfaultfd cannot place pages in this kind of memory", block.name);
  }
  const int why = errno;
  if (why == EBUSY) return fail("block '{}': another userfaultfd is on this memory already", block.name);
  if (why == EINVAL)
    return fail("block '{}': userfaultfd cannot {} this kind of memory on this kernel", block.name,
                mode == UFFDIO_REGISTER_MODE_WP ? "write-protect" : "watch for missing pages in");
  return system_error(fmt::format("block '{}': userfaultfd cannot take {} bytes at {}", block.name,
                                  block.size, fmt::ptr(block.host)),
                      why);
}

Result<> Userfault::protect_all(const RamBlock& block) {
  const std::uint64_t step = piece_of(block);
  for (std::uint64_t offset = 0; offset < block.size; offset += step)
    GODWIT_TRY(protect(block.host + offset, std::min(step, block.size - offset)));
  return {};
}

void Userfault::dismiss(const RamBlock& block) noexcept {
  const std::uint64_t step = piece_of(block);
  for (std::uint64_t offset = 0; offset < block.size; offset += step) {
    uffdio_range range{.start = reinterpret_cast<std::uintptr_t>(block.host + offset),
                       .len = std::min(step, block.size - offset)};
    // Fails only where the block was never enlisted.
    ::ioctl(fd_.get(), UFFDIO_UNREGISTER, &range);
  }
}

Result<> Userfault::protect(const std::byte* start, std::uint64_t length) {
  return change_protection(start, length, UFFDIO_WRITEPROTECT_MODE_WP);
}

Result<> Userfault::unprotect(const std::byte* start, std::uint64_t length) {
  return change_protection(start, length, 0);
}

Result<> Userfault::change_protection(const std::byte* start, std::uint64_t length, std::uint64_t mode) {
  uffdio_writeprotect request{};
  request.range = {.start = reinterpret_cast<std::uintptr_t>(start), .len = length};
  request.mode = mode;
  while (::ioctl(fd_.get(), UFFDIO_WRITEPROTECT, &request) < 0) {
    // EAGAIN: the address space is just being changed by another thread; the request can be repeated as it
    // is.
    if (errno == EAGAIN || errno == EINTR) continue;
    return system_error(fmt::format("userfaultfd cannot {} {} bytes at {}",
                                    mode ? "write-protect" : "release", length, fmt::ptr(start)),
                        errno);
  }
  return {};
}

namespace {

/// What is to be done after a placing ioctl failed or did a part.
enum class Next : std::uint8_t { again, present, failed };

Next judge(std::int64_t done, std::uint64_t& placed) {
  if (done > 0) placed += static_cast<std::uint64_t>(done);
  if (errno == EEXIST || done == -EEXIST) return Next::present;
  // EAGAIN: the address space is just being changed by another thread, or only a part was placed.
  if (errno == EAGAIN || errno == EINTR) return Next::again;
  return Next::failed;
}

}  // namespace

Result<bool> Userfault::copy(std::byte* to, const std::byte* from, std::uint64_t length) {
  for (std::uint64_t placed = 0; placed < length;) {
    uffdio_copy request{.dst = reinterpret_cast<std::uintptr_t>(to + placed),
                        .src = reinterpret_cast<std::uintptr_t>(from + placed),
                        .len = length - placed,
                        .mode = 0,
                        .copy = 0};
    if (::ioctl(fd_.get(), UFFDIO_COPY, &request) == 0) return true;
    switch (judge(request.copy, placed)) {
      case Next::again:
        continue;
      case Next::present:
        GODWIT_TRY(wake(to, length));
        return false;
      case Next::failed:
        return system_error(fmt::format("userfaultfd cannot place {} bytes at {}", length, fmt::ptr(to)),
                            errno);
    }
  }
  return true;
}

Result<bool> Userfault::zero(std::byte* to, std::uint64_t length) {
  for (std::uint64_t placed = 0; placed < length;) {
    uffdio_zeropage request{};
    request.range = {.start = reinterpret_cast<std::uintptr_t>(to + placed), .len = length - placed};
    if (::ioctl(fd_.get(), UFFDIO_ZEROPAGE, &request) == 0) return true;
    switch (judge(request.zeropage, placed)) {
      case Next::again:
        continue;
      case Next::present:
        GODWIT_TRY(wake(to, length));
        return false;
      case Next::failed:
        return system_error(fmt::format("userfaultfd cannot place {} zero bytes at {}", length, fmt::ptr(to)),
                            errno);
    }
  }
  return true;
}

Result<> Userfault::wake(const std::byte* start, std::uint64_t length) {
  uffdio_range range{.start = reinterpret_cast<std::uintptr_t>(start), .len = length};
  if (::ioctl(fd_.get(), UFFDIO_WAKE, &range) == 0) return {};
  return system_error(
      fmt::format("userfaultfd cannot wake who waits for {} bytes at {}", length, fmt::ptr(start)), errno);
}

}  // namespace godwit::memory
