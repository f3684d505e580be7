#include "memory/populated.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdio>
#include <linux/magic.h>
#include <memory>
#include <string_view>
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
  std::uint64_t device_major = 0;
  std::uint64_t device_minor = 0;
  std::uint64_t inode = 0;

  bool anonymous() const { return !shared && inode == 0 && device_major == 0 && device_minor == 0; }
};

/// Takes a number off the front of a line, and the character `after` it.
std::optional<std::uint64_t> take_number(std::string_view& line, int base, char after) {
  std::uint64_t number = 0;
  const char* line_end = line.data() + line.size();
  const auto [end, error] = std::from_chars(line.data(), line_end, number, base);
  if (error != std::errc{} || end == line_end || *end != after) return std::nullopt;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()) + 1);
  return number;
}

/// "START-END PERMISSIONS OFFSET MAJOR:MINOR INODE ...".
std::optional<Area> parse_area(std::string_view line) {
  constexpr std::string_view permissions = "rwxp ";
  const auto start = take_number(line, 16, '-');
  const auto end = take_number(line, 16, ' ');
  if (!start || !end || line.size() < permissions.size()) return std::nullopt;
  const bool shared = line[3] == 's';
  line.remove_prefix(permissions.size());
  const auto offset = take_number(line, 16, ' ');
  const auto device_major = take_number(line, 16, ':');
  const auto device_minor = take_number(line, 16, ' ');
  const auto inode = take_number(line, 10, ' ');
  if (!offset || !device_major || !device_minor || !inode) return std::nullopt;
  return Area{*start, *end, shared, *offset, *device_major, *device_minor, *inode};
}

/// The areas of this process that make up [start, end), in order; none if there is a gap. Read without
/// std::ifstream: the first one of a process makes half a MiB of libstdc++ resident.
std::vector<Area> areas_of(std::uintptr_t start, std::uintptr_t end) {
  const std::unique_ptr<FILE, int (*)(FILE*)> maps(std::fopen("/proc/self/maps", "re"), std::fclose);
  if (!maps) return {};
  std::vector<Area> areas;
  std::uintptr_t covered = start;
  std::array<char, 4 * PATH_MAX + 128> line;  // each byte of the path may be there as \nnn
  while (covered < end && std::fgets(line.data(), line.size(), maps.get())) {
    const auto area = parse_area(line.data());
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
