#include "cli/inspect/diff.h"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/inspect/testing.h"
#include "cli/temporary_directory.h"

namespace godwit::cli::inspect {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Comparison compare_golden(std::string_view left, std::string_view right) {
  const auto directory = TemporaryDirectory::create();
  Inspection found[2];
  const std::string paths[] = {directory->file("left"), directory->file("right")};
  const std::string_view names[] = {left, right};
  for (std::size_t i = 0; i < 2; ++i) {
    auto image = RamImage::create(paths[i]).value();
    CollectorOptions options;
    options.image = &image;
    found[i] = testing::inspect_golden(names[i], options);
    EXPECT_FALSE(found[i].problem) << found[i].problem->what;
  }
  Comparison comparison = compare(found[0], found[1]);
  EXPECT_TRUE(compare_ram(found[0], paths[0], found[1], paths[1], comparison));
  return comparison;
}

TEST(Diff, AStreamIsEqualToItself) {
  const auto comparison = compare_golden("15-pc-machine.bin", "15-pc-machine.bin");
  EXPECT_TRUE(comparison.equal());
  EXPECT_EQ(to_text(comparison), "no differences\n");
  EXPECT_TRUE(to_json(comparison).at("equal").as_bool());
}

TEST(Diff, NamesPagesAndFields) {
  const std::string text = to_text(compare_golden("01-precopy-plain.bin", "05-compress.bin"));
  EXPECT_THAT(text, HasSubstr("  m0: 2 pages differ: 50-51\n"));
  EXPECT_THAT(text, HasSubstr("device timer 0\n  cpu_ticks_offset: 104412753  |  288844661\n"));
  EXPECT_THAT(text, Not(HasSubstr("globalstate")));
}

TEST(Diff, NamesWhatOnlyOneHas) {
  const auto comparison = compare_golden("microvm/tcg-min64.mig", "microvm/tcg-blk.mig");
  const std::string text = to_text(comparison);
  EXPECT_THAT(text, HasSubstr("  the device: -  |  is there\n"));
  EXPECT_THAT(text, HasSubstr("  cpu/fpop_ip_dp.env.fpop: 0  |  -\n"));
  EXPECT_FALSE(to_json(comparison).at("devices").as_array().empty());
  const std::string other = to_text(compare_golden("01-precopy-plain.bin", "15-pc-machine.bin"));
  EXPECT_THAT(other, HasSubstr("  machine: none  |  pc-i440fx-7.2\n"));
  EXPECT_THAT(other, HasSubstr("  length of m0: 16,777,216 bytes  |  -\n"));
}

TEST(Diff, FindsTheLastPageAndThoseBehindAShorterEnd) {
  const auto directory = TemporaryDirectory::create();
  Inspection stream;
  stream.blocks.push_back({});
  stream.blocks[0].entry = {"b", 8 * 1024 * 1024, {}, {}};
  for (const char* side : {"left", "right"}) {
    std::filesystem::create_directory(directory->file(side));
    const std::string path = directory->file(side) + "/b.ram";
    std::ofstream(path, std::ios::binary) << "";
    std::filesystem::resize_file(path, 8 * 1024 * 1024 - (side[0] == 'l' ? page_size : 0));
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    if (side[0] == 'r') file.seekp(8 * 1024 * 1024 - 1) << 'x';
    file.seekp(3 * 1024 * 1024) << (side[0] == 'r' ? 'x' : 'y');
  }
  Comparison comparison;
  ASSERT_TRUE(compare_ram(stream, directory->file("left"), stream, directory->file("right"), comparison));
  ASSERT_EQ(comparison.ram.size(), 1u);
  EXPECT_EQ(comparison.ram[0].pages, 2u);
  ASSERT_EQ(comparison.ram[0].ranges.size(), 2u);
  EXPECT_EQ(comparison.ram[0].ranges[0].first, 768u);
  EXPECT_EQ(comparison.ram[0].ranges[1].first, 2047u);
}

}  // namespace
}  // namespace godwit::cli::inspect
