#include "cli/inspect/ram_image.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <sys/stat.h>

#include "cli/inspect/testing.h"
#include "cli/temporary_directory.h"

namespace godwit::cli::inspect {
namespace {

/// Pattern pages of the samples' notes.
void put_pattern(std::string& ram, std::initializer_list<std::size_t> pages) {
  for (const std::size_t page : pages)
    for (std::size_t j = 0; j < page_size; ++j)
      ram[page * page_size + j] = static_cast<char>((7 * j + 13 * page) % 256);
}

std::string set_a() {
  std::string ram(16 * 1024 * 1024, '\0');
  put_pattern(ram, {0, 1, 2, 5, 100, 101});
  ram.replace(16 * page_size, page_size, page_size, '\x41');
  ram[18 * page_size - 1] = '\1';
  ram.replace(4095 * page_size, page_size, page_size, '\xff');
  return ram;
}

std::string extract(std::string_view name, const std::string& directory) {
  auto image = RamImage::create(directory);
  EXPECT_TRUE(image);
  CollectorOptions options;
  options.image = &*image;
  const auto found = testing::inspect_golden(name, options);
  EXPECT_FALSE(found.problem) << name << ": " << found.problem->what;
  std::ifstream file(directory + "/m0.ram", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(RamImage, IsTheRamOfTheSamples) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  const std::string expected = set_a();
  for (const char* name : {"01-precopy-plain.bin", "02-precopy-noconfig-nofooter-novmdesc.bin",
                           "06-return-path-to-dst.bin", "16-mapped-ram.bin.gz"})
    EXPECT_TRUE(extract(name, directory->file("ram")) == expected) << name;
}

TEST(RamImage, TakesDeltasAndCompressedPages) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  // Set A and two pages more.
  std::string compressed = extract("05-compress.bin", directory->file("ram"));
  ASSERT_EQ(compressed.size(), 16u * 1024 * 1024);
  compressed.replace(50 * page_size, 2 * page_size, 2 * page_size, '\0');
  EXPECT_TRUE(compressed == set_a());
  // The source wrote this into pages 5 to 9 while it sent deltas; without them the pattern would be whole.
  const std::string deltas = extract("04-xbzrle.bin", directory->file("ram"));
  ASSERT_EQ(deltas.size(), 16u * 1024 * 1024);
  EXPECT_NE(deltas.substr(7 * page_size, page_size), std::string(page_size, '\0'));
}

TEST(RamImage, TakesTheChannelsOfMultifd) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  std::string expected(16 * 1024 * 1024, '\0');
  put_pattern(expected, {0, 1, 2, 5, 100, 101, 200, 201, 202, 203});
  expected.replace(4095 * page_size, page_size, page_size, '\xee');
  for (const char* method : {"none", "zlib", "zstd"}) {
    std::string merged(expected.size(), '\0');
    for (const char* channel : {"0", "1"}) {
      const std::string name = std::string("12-multifd-") + method + "-channel" + channel + ".bin";
      std::string part =
          testing::inspect_golden(name).blocks.empty() ? "" : extract(name, directory->file("ram"));
      for (std::size_t i = 0; i < part.size(); ++i) merged[i] = static_cast<char>(merged[i] | part[i]);
    }
    EXPECT_TRUE(merged == expected) << method;
  }
}

TEST(RamImage, IsSparse) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  extract("01-precopy-plain.bin", directory->file("ram"));
  struct stat status;
  ASSERT_EQ(::stat((directory->file("ram") + "/m0.ram").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 16 * 1024 * 1024);
  EXPECT_LT(status.st_blocks * 512, 1024 * 1024);
}

TEST(RamImage, OverwritesAndReadsBack) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  auto image = RamImage::create(directory->file("ram"));
  ASSERT_TRUE(image);
  const wire::BlockEntry block{"b", 16 * page_size, {}, {}};
  ASSERT_TRUE(image->add_blocks({&block, 1}));
  std::vector<std::byte> page(page_size, std::byte{1});
  ASSERT_TRUE(image->write(0, 0, page));
  ASSERT_TRUE(image->write(0, page_size, page));
  ASSERT_TRUE(image->fill(0, 0, std::byte{0}));
  ASSERT_TRUE(image->fill(0, 5 * page_size, std::byte{7}));
  const auto byte_at = [&](std::uint64_t offset) {
    EXPECT_TRUE(image->read(0, offset, page));
    return page[100];
  };
  EXPECT_EQ(byte_at(0), std::byte{0});
  EXPECT_EQ(byte_at(page_size), std::byte{1});
  EXPECT_EQ(byte_at(5 * page_size), std::byte{7});
  EXPECT_EQ(byte_at(2 * page_size), std::byte{0});
}

TEST(RamImage, FileNamesStayInTheDirectory) {
  EXPECT_EQ(RamImage::file_name("pc.ram"), "pc.ram.ram");
  EXPECT_EQ(RamImage::file_name("/rom@etc/acpi/tables"), "%2From@etc%2Facpi%2Ftables.ram");
  EXPECT_EQ(RamImage::file_name("../x"), "%2E.%2Fx.ram");
  EXPECT_EQ(RamImage::file_name("a%2F"), "a%252F.ram");
  EXPECT_EQ(RamImage::file_name("0000:00:02.0/v.rom"), "0000:00:02.0%2Fv.rom.ram");
}

}  // namespace
}  // namespace godwit::cli::inspect
