#include "memory/pagemap.h"

#include <cerrno>
#include <fcntl.h>
#include <span>
#include <sys/ioctl.h>

#include "base/fail.h"

namespace godwit::memory {
namespace {

constexpr std::size_t regions_per_call = 2048;

}  // namespace

Pagemap::Pagemap(UniqueFd fd)
    : fd_(std::move(fd)), regions_(std::make_unique_for_overwrite<PageRegion[]>(regions_per_call)) {}

Result<Pagemap> Pagemap::open() {
  UniqueFd fd(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!fd) return system_error("cannot open /proc/self/pagemap", errno);
  // An empty range asks nothing but whether the kernel knows the request.
  PageScanArgument nothing{};
  nothing.size = sizeof nothing;
  if (::ioctl(fd.get(), pagemap_scan_ioctl, &nothing) < 0 && errno == ENOTTY)
    return fail("this kernel has no PAGEMAP_SCAN (Linux 6.7 and later have it)");
  return Pagemap(std::move(fd));
}

Result<> Pagemap::scan(const std::byte* start, std::uint64_t length, const PageQuery& query,
                       const std::function<void(std::uint64_t, std::uint64_t)>& found) {
  PageScanArgument argument{};
  argument.size = sizeof argument;
  argument.flags = query.flags;
  argument.start = reinterpret_cast<std::uintptr_t>(start);
  argument.end = argument.start + length;
  argument.vec = reinterpret_cast<std::uintptr_t>(regions_.get());
  argument.vec_len = regions_per_call;
  argument.category_inverted = query.inverted;
  argument.category_mask = query.all_of;
  argument.category_anyof_mask = query.any_of;
  // The kernel has a fast path for "written" alone, and only with this return mask.
  argument.return_mask = query.all_of | query.any_of;

  while (argument.start < argument.end) {
    argument.walk_end = 0;
    const int count = ::ioctl(fd_.get(), pagemap_scan_ioctl, &argument);
    if (count < 0) {
      // Pages may have been protected and not reported, so there is no second try.
      return system_error(fmt::format("PAGEMAP_SCAN of {} bytes at {:#x} failed",
                                      argument.end - argument.start, argument.start),
                          errno);
    }
    for (const PageRegion& region : std::span(regions_.get(), static_cast<std::size_t>(count)))
      found(region.start, region.end);
    argument.start = argument.walk_end;
  }
  return {};
}

}  // namespace godwit::memory
