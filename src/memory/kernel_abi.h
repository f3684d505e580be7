// Numbers of the Linux user-space interface that are newer than the headers we build with (Debian 12:
// Linux 6.1). They never change once released; which of them the running kernel knows is asked at run time.
#pragma once

#include <cstdint>
#include <linux/ioctl.h>
#include <linux/userfaultfd.h>

namespace godwit::memory {

// userfaultfd features, Linux 6.4, 6.7.
inline constexpr std::uint64_t uffd_feature_wp_unpopulated = 1u << 13;
inline constexpr std::uint64_t uffd_feature_wp_async = 1u << 15;

/// ioctl of /dev/userfaultfd that makes a descriptor, Linux 6.1.
inline constexpr unsigned long uffd_ioc_new = _IO(0xAA, 0x00);
/// Flag of userfaultfd(2): faults taken inside system calls are not handed out. Linux 5.11.
inline constexpr int uffd_user_mode_only = 1;

// madvise(2), Linux 5.14.
inline constexpr int madv_populate_read = 22;
inline constexpr int madv_populate_write = 23;

// PAGEMAP_SCAN of /proc/PID/pagemap, Linux 6.7: PAGEMAP_SCAN(2const).

/// What a scan found: [start, end), virtual addresses, with the same categories throughout.
struct PageRegion {
  std::uint64_t start;
  std::uint64_t end;
  std::uint64_t categories;
};

struct PageScanArgument {
  std::uint64_t size;      ///< of this struct
  std::uint64_t flags;     ///< page_scan_*
  std::uint64_t start;     ///< first address
  std::uint64_t end;       ///< end address
  std::uint64_t walk_end;  ///< out: where the walk stopped
  std::uint64_t vec;       ///< address of an array of PageRegion
  std::uint64_t vec_len;   ///< how many fit there
  std::uint64_t max_pages;
  std::uint64_t category_inverted;    ///< these categories count when they are absent
  std::uint64_t category_mask;        ///< a page needs all of these
  std::uint64_t category_anyof_mask;  ///< and one of these, unless 0
  std::uint64_t return_mask;          ///< categories reported in PageRegion
};
static_assert(sizeof(PageScanArgument) == 96);

inline constexpr unsigned long pagemap_scan_ioctl = _IOWR('f', 16, PageScanArgument);

inline constexpr std::uint64_t page_scan_wp_matching = 1u << 0;  ///< write-protect what matches, atomically
inline constexpr std::uint64_t page_scan_check_wpasync = 1u
                                                         << 1;  ///< fail where asynchronous protection is off

inline constexpr std::uint64_t page_is_written = 1u << 1;
inline constexpr std::uint64_t page_is_present = 1u << 3;
inline constexpr std::uint64_t page_is_swapped = 1u << 4;
inline constexpr std::uint64_t page_is_pfnzero = 1u << 5;  ///< the kernel's shared page of zeros

}  // namespace godwit::memory
