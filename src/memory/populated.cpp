#include "memory/populated.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <linux/magic.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <vector>

#include "memory/bits.h"

namespace godwit::memory {
namespace {

constexpr unsigned long xfs_magic = 0x58465342;
constexpr unsigned long btrfs_magic = 0x9123683E;

/// One line of /proc/self/maps.
struct Area {
  std::uintptr_t start = 0;
  std::uintptr_t end = 0;
  bool shared = false;
  std::uint64_t offset = 0;
  unsigned device_major = 0;
  unsigned device_minor = 0;
  std::uint64_t inode = 0;

  bool anonymous() const { return !shared && inode == 0 && device_major == 0 && device_minor == 0; }
};

std::optional<Area> parse_area(const std::string& line) {
  Area area;
  char permissions[5] = {};
  if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %4s %" SCNx64 " %x:%x %" SCNu64, &area.start,
                  &area.end, permissions, &area.offset, &area.device_major, &area.device_minor,
                  &area.inode) != 7)
    return std::nullopt;
  area.shared = permissions[3] == 's';
  return area;
}

/// The areas of this process that make up [start, end), in order; none if there is a gap.
std::vector<Area> areas_of(std::uintptr_t start, std::uintptr_t end) {
  std::vector<Area> areas;
  std::ifstream maps("/proc/self/maps");
  std::uintptr_t covered = start;
  for (std::string line; covered < end && std::getline(maps, line);) {
    const auto area = parse_area(line);
    if (!area || area->end <= start) continue;
    if (area->start > covered) return {};
    covered = area->end;
    areas.push_back(*area);
  }
  return covered >= end ? areas : std::vector<Area>{};
}

/// Whether holes of files there are known to be pages without data, also while they are written through a
/// mapping.
bool has_true_holes(int fd) {
  struct statfs info{};
  if (::fstatfs(fd, &info) < 0) return false;
  const auto type = static_cast<unsigned long>(info.f_type);
  return type == TMPFS_MAGIC || type == EXT4_SUPER_MAGIC || type == xfs_magic || type == btrfs_magic;
}

/// Whether the area maps the file as a block at `host` that begins with the file does.
bool is_area_of(const Area& area, const struct stat& file, std::uintptr_t host) {
  return area.start >= host && area.offset == area.start - host && area.inode == file.st_ino &&
         area.device_major == major(file.st_dev) && area.device_minor == minor(file.st_dev);
}

/// Whether pages can have been swapped out. Asked before and after.
bool swap_is_possible() {
  struct sysinfo info{};
  return ::sysinfo(&info) < 0 || info.totalswap != 0;
}

}  // namespace

PopulationProbe::PopulationProbe(RamBlock block) : block_(std::move(block)) {
  if (auto pagemap = Pagemap::open()) pagemap_ = *std::move(pagemap);
  kind_ = classify();
}

PopulationProbe::Kind PopulationProbe::classify() const {
  // Asked of the kernel, not of the caller: to take a private mapping of a file for anonymous memory would
  // lose data.
  const auto start = reinterpret_cast<std::uintptr_t>(block_.host);
  const auto areas = areas_of(start, start + block_.size);
  if (areas.empty()) return Kind::unknown;
  if (std::ranges::all_of(areas, &Area::anonymous)) return pagemap_ ? Kind::anonymous : Kind::unknown;

  struct stat file{};
  if (block_.fd < 0 || ::fstat(block_.fd, &file) < 0 || !has_true_holes(block_.fd)) return Kind::unknown;
  if (!std::ranges::all_of(areas, [&](const Area& area) { return is_area_of(area, file, start); }))
    return Kind::unknown;
  if (std::ranges::all_of(areas, &Area::shared)) return Kind::shared_file;
  if (std::ranges::none_of(areas, &Area::shared) && pagemap_) return Kind::private_file;
  return Kind::unknown;
}

void PopulationProbe::find(PageRange range, DirtyBitmap& populated) {
  assert(populated.pages() == block_.pages());
  populated.clear_range(range);
  bool known = false;
  switch (kind_) {
    case Kind::unknown:
      break;
    case Kind::anonymous:
      known = add_from_page_tables(range, populated) && drop_markers(range, populated);
      break;
    case Kind::shared_file:
      // What is mapped is in the file; the page tables answer that faster.
      if (pagemap_) static_cast<void>(add_from_page_tables(range, populated));
      known = add_from_file(range, populated);
      break;
    case Kind::private_file:
      known = add_from_page_tables(range, populated) && add_from_file(range, populated);
      break;
  }
  if (!known) populated.set_range(range);
}

bool PopulationProbe::add_from_page_tables(PageRange range, DirtyBitmap& populated) {
  // Mapped or swapped out, and not the shared page of zeros.
  // A shared mapping has nothing swapped out in it, only markers.
  const PageQuery holds_data{.all_of = page_is_pfnzero,
                             .any_of = page_is_present | (kind_ == Kind::shared_file ? 0 : page_is_swapped),
                             .inverted = page_is_pfnzero};
  const auto base = reinterpret_cast<std::uintptr_t>(block_.host);
  const auto scanned =
      pagemap_->scan(block_.host + range.first * page_size, range.count * page_size, holds_data,
                     [&](std::uint64_t start, std::uint64_t end) {
                       populated.set_range({(start - base) / page_size, (end - start) / page_size});
                     });
  return scanned.has_value();
}

/// Write protection by userfault leaves markers where nothing is mapped, and PAGEMAP_SCAN calls a marker
/// swapped. mincore() tells them from data, unless the data really is swapped out; so where there is swap
/// they stay populated.
bool PopulationProbe::drop_markers(PageRange range, DirtyBitmap& populated) {
  std::vector<PageRange> suspects;
  const auto base = reinterpret_cast<std::uintptr_t>(block_.host);
  const auto scanned =
      pagemap_->scan(block_.host + range.first * page_size, range.count * page_size,
                     {.all_of = page_is_swapped}, [&](std::uint64_t start, std::uint64_t end) {
                       suspects.push_back({(start - base) / page_size, (end - start) / page_size});
                     });
  if (!scanned) return false;
  if (suspects.empty() || swap_is_possible()) return true;

  DirtyBitmap data(range.count);
  for (const PageRange& run : suspects) {
    std::vector<unsigned char> in_core(run.count);
    if (::mincore(block_.host + run.first * page_size, run.count * page_size, in_core.data()) < 0)
      return false;
    for (std::uint64_t page = 0; page < run.count; ++page)
      if (in_core[page] & 1) data.set(run.first - range.first + page);
  }
  if (swap_is_possible()) return true;
  for (const PageRange& run : suspects)
    for (std::uint64_t page = run.first; page < run.first + run.count; ++page)
      if (!data.test(page - range.first)) populated.clear_range({page, 1});
  return true;
}

/// Asks the file about the pages that are not populated yet. Only for the next data, never for the next hole:
/// that search would walk through all the data after the range each time.
bool PopulationProbe::add_from_file(PageRange range, DirtyBitmap& populated) {
  const std::uint64_t end = range.first + range.count;
  for (std::uint64_t page = range.first; page < end;) {
    if (populated.test(page)) {
      ++page;
      continue;
    }
    const off_t data = ::lseek(block_.fd, static_cast<off_t>(page * page_size), SEEK_DATA);
    if (data < 0) return errno == ENXIO;  // ENXIO: no data from here to the end of the file
    page = static_cast<std::uint64_t>(data) / page_size;
    if (page >= end) return true;
    populated.set(page++);
  }
  return true;
}

DirtyBitmap populated_pages(const RamBlock& block) {
  DirtyBitmap populated(block.pages());
  PopulationProbe(block).find({0, block.pages()}, populated);
  return populated;
}

}  // namespace godwit::memory
