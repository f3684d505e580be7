#include "memory/ram.h"

#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/testing/not_tested_here.h"
#include "base/testing/temporary_directory.h"

namespace godwit::memory {
namespace {

constexpr std::uint64_t mib = 1024 * 1024;

/// The flags of the mapping at `address` in /proc/self/smaps ("rd wr mr ..."), or a whole line that starts
/// with `key`.
std::string smaps_line(const void* address, const std::string& key) {
  std::ifstream smaps("/proc/self/smaps");
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long start = 0;
    unsigned long end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &start, &end) == 2) inside = start <= wanted && wanted < end;
    if (inside && line.starts_with(key)) return line;
  }
  return {};
}

void expect_zero_and_writable(const GuestRam& ram) {
  for (const std::uint64_t offset : {std::uint64_t{0}, ram.size() / 2, ram.size() - 1}) {
    EXPECT_EQ(ram.host()[offset], std::byte{0});
    ram.host()[offset] = std::byte{1};
  }
}

TEST(GuestRam, AnonymousIsAlignedHiddenFromDumpsAndAsksForHugePages) {
  const auto ram = GuestRam::create({.size = 6 * mib + page_size});
  ASSERT_TRUE(ram) << ram.error().what();
  EXPECT_EQ(ram->size(), 6 * mib + page_size);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(ram->host()) % (2 * mib), 0u);
  EXPECT_EQ(ram->host_page_size(), page_size);
  EXPECT_EQ(ram->fd(), -1);
  EXPECT_FALSE(ram->shared());
  expect_zero_and_writable(*ram);
  const auto flags = smaps_line(ram->host(), "VmFlags:");
  EXPECT_NE(flags.find(" dd"), std::string::npos) << flags;  // not in dumps
  EXPECT_NE(flags.find(" dc"), std::string::npos) << flags;  // not copied by fork
  EXPECT_NE(flags.find(" hg"), std::string::npos) << flags;  // huge pages wanted
  EXPECT_EQ(flags.find(" mg"), std::string::npos) << flags;  // never merged
}

TEST(GuestRam, HugePagesAndDumpsCanBeTurnedRound) {
  const auto ram = GuestRam::create({.size = 4 * mib, .transparent_huge_pages = false, .dump = true});
  ASSERT_TRUE(ram);
  const auto flags = smaps_line(ram->host(), "VmFlags:");
  EXPECT_EQ(flags.find(" dd"), std::string::npos) << flags;
  EXPECT_NE(flags.find(" nh"), std::string::npos) << flags;
}

TEST(GuestRam, PreallocationGivesEveryPageItsMemory) {
  const auto sparse = GuestRam::create({.size = 4 * mib, .transparent_huge_pages = false});
  const auto full = GuestRam::create({.size = 4 * mib, .prealloc = true, .transparent_huge_pages = false});
  ASSERT_TRUE(sparse);
  ASSERT_TRUE(full);
  EXPECT_NE(smaps_line(sparse->host(), "Rss:").find(" 0 kB"), std::string::npos);
  EXPECT_NE(smaps_line(full->host(), "Rss:").find(" 4096 kB"), std::string::npos);
}

TEST(GuestRam, SharedAnonymousMemoryAndMemfdsShowWritesToWhoMapsTheDescriptor) {
  for (const RamSource source : {RamSource::anonymous, RamSource::memfd}) {
    const auto ram = GuestRam::create({.source = source, .size = 2 * mib, .shared = true});
    ASSERT_TRUE(ram) << ram.error().what();
    ASSERT_GE(ram->fd(), 0);
    EXPECT_TRUE(ram->block("a").shared);
    EXPECT_EQ(ram->block("a").fd, ram->fd());
    const auto other = Mapping::map(2 * mib, PROT_READ, MAP_SHARED, ram->fd());
    ASSERT_TRUE(other);
    ram->host()[mib] = std::byte{0x5a};
    EXPECT_EQ(other->data()[mib], std::byte{0x5a});
  }
}

TEST(GuestRam, APrivateMemfdKeepsWritesToItself) {
  const auto ram = GuestRam::create({.source = RamSource::memfd, .size = 2 * mib});
  ASSERT_TRUE(ram);
  const auto other = Mapping::map(2 * mib, PROT_READ, MAP_SHARED, ram->fd());
  ASSERT_TRUE(other);
  ram->host()[mib] = std::byte{0x5a};
  EXPECT_EQ(other->data()[mib], std::byte{0});
}

TEST(GuestRam, HugePagesFromThePool) {
  const auto ram = GuestRam::create(
      {.source = RamSource::memfd, .size = 4 * mib, .shared = true, .huge_page_size = 2 * mib});
  if (!ram) {
    EXPECT_NE(ram.error().advice().find("nr_hugepages"), std::string::npos) << ram.error().explain();
    NOT_TESTED_HERE() << "no huge pages: " << ram.error().explain();
  }
  EXPECT_EQ(ram->host_page_size(), 2 * mib);
  EXPECT_EQ(ram->block("a").host_page_size, 2 * mib);
  expect_zero_and_writable(*ram);
  const auto anonymous = GuestRam::create({.size = 4 * mib, .huge_page_size = 2 * mib});
  ASSERT_TRUE(anonymous) << anonymous.error().what();
  EXPECT_EQ(anonymous->host_page_size(), 2 * mib);
  expect_zero_and_writable(*anonymous);
  const auto odd = GuestRam::create({.source = RamSource::memfd, .size = 3 * mib, .huge_page_size = 2 * mib});
  ASSERT_FALSE(odd);
}

TEST(GuestRam, ASizeOfHalfAHugePageIsRefused) {
  const auto ram = GuestRam::create({.source = RamSource::memfd, .size = 3 * mib, .huge_page_size = 2 * mib});
  ASSERT_FALSE(ram);
  const auto odd = GuestRam::create({.source = RamSource::memfd, .size = 3 * mib, .huge_page_size = 3 * mib});
  ASSERT_FALSE(odd);
  EXPECT_EQ(odd.error().what(), "a huge page size is a power of two; not 3145728");
  const auto unknown =
      GuestRam::create({.source = RamSource::memfd, .size = 4 * mib, .huge_page_size = 4 * mib});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().what(), "this machine has no huge pages of 4194304 bytes");
}

TEST(GuestRam, AMissingFileIsMade) {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("ram");
  {
    const auto ram = GuestRam::create({.source = RamSource::file, .size = mib, .shared = true, .path = path});
    ASSERT_TRUE(ram) << ram.error().what();
    EXPECT_EQ(std::filesystem::file_size(path), mib);
    expect_zero_and_writable(*ram);
    std::memcpy(ram->host() + 4096, "godwit", 6);
  }
  const auto again =
      GuestRam::create({.source = RamSource::file, .size = mib, .shared = false, .path = path});
  ASSERT_TRUE(again);
  EXPECT_EQ(std::memcmp(again->host() + 4096, "godwit", 6), 0) << "the contents outlive their user";
  again->host()[4096] = std::byte{0};
  std::ifstream file(path);
  file.seekg(4096);
  EXPECT_EQ(file.get(), 'g') << "private: writes stay here";
}

TEST(GuestRam, AnEmptyFileGrowsALargerOneStaysASmallerOneIsRefused) {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("ram");
  std::ofstream(path).close();
  ASSERT_TRUE(GuestRam::create({.source = RamSource::file, .size = mib, .path = path}));
  EXPECT_EQ(std::filesystem::file_size(path), mib);
  ASSERT_TRUE(GuestRam::create({.source = RamSource::file, .size = page_size, .path = path}));
  EXPECT_EQ(std::filesystem::file_size(path), mib);
  const auto small = GuestRam::create({.source = RamSource::file, .size = 2 * mib, .path = path});
  ASSERT_FALSE(small);
  EXPECT_EQ(small.error().what(), "'" + path + "' has 1048576 bytes, and guest RAM needs 2097152");
  EXPECT_EQ(std::filesystem::file_size(path), mib);
}

TEST(GuestRam, ADirectoryGetsAFileThatNobodySees) {
  const test::TemporaryDirectory directory;
  const auto ram =
      GuestRam::create({.source = RamSource::file, .size = mib, .shared = true, .path = directory.path()});
  ASSERT_TRUE(ram) << ram.error().what();
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
  expect_zero_and_writable(*ram);
}

TEST(GuestRam, ErrorsNameThePathAndLeaveNothingBehind) {
  const test::TemporaryDirectory directory;
  const auto nowhere = directory.file("no/where");
  const auto missing = GuestRam::create({.source = RamSource::file, .size = mib, .path = nowhere});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().what(), "cannot open '" + nowhere + "' for guest RAM: No such file or directory");

  const auto device = GuestRam::create({.source = RamSource::file, .size = mib, .path = "/dev/null"});
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().what(), "'/dev/null' is neither a file nor a directory");

  // A file that could be made, but not mapped.
  const auto path = directory.file("huge");
  const auto huge =
      GuestRam::create({.source = RamSource::file, .size = std::uint64_t{1} << 62, .path = path});
  ASSERT_FALSE(huge);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(GuestRam, SizesAreChecked) {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, page_size + 1}) {
    const auto ram = GuestRam::create({.size = size});
    ASSERT_FALSE(ram) << size;
    EXPECT_EQ(ram.error().what(),
              "the size of guest RAM is a multiple of 4096 bytes; not " + std::to_string(size));
  }
  const auto huge = GuestRam::create({.size = ~std::uint64_t{0} / page_size * page_size});
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.error().what(),
            "cannot map 18446744073709547520 bytes of guest RAM: Cannot allocate memory");
}

}  // namespace
}  // namespace godwit::memory
