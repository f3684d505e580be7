#include "cli/inspect/read.h"

#include <fcntl.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/inspect/testing.h"
#include "cli/temporary_directory.h"

namespace godwit::cli::inspect {
namespace {

using ::testing::ElementsAre;
using testing::field_of;
using ::testing::HasSubstr;
using testing::inspect_bytes;
using testing::inspect_golden;

TEST(ReadStream, CountsThePagesOfASample) {
  const auto found = inspect_golden("01-precopy-plain.bin");
  ASSERT_FALSE(found.problem) << found.problem->what;
  EXPECT_EQ(found.configuration->machine, "none");
  EXPECT_EQ(found.footers, true);
  ASSERT_EQ(found.blocks.size(), 1u);
  EXPECT_EQ(found.blocks[0].entry.name, "m0");
  EXPECT_EQ(found.blocks[0].pages.normal, 9u);
  EXPECT_EQ(found.blocks[0].pages.zero, 4087u);
  EXPECT_EQ(found.blocks[0].distinct, 4096u);
  EXPECT_EQ(found.blocks[0].wire_bytes, 4096u * 8 + 9 * 4096 + 4087 + 3);
  EXPECT_EQ(found.passes.size(), 1u);
  EXPECT_EQ(field_of(found, "globalstate", "runstate"), "\"running\"");
}

TEST(ReadStream, EverySampleIsWholeAndAllItsBytesAreAccountedFor) {
  for (const std::string& name : wire::test::golden_names()) {
    CollectorOptions options;
    options.check_pages = true;
    const auto stream = wire::test::golden(name);
    const auto found = inspect_bytes(stream, options);
    if (name.contains("conn0-to-dst")) {
      ASSERT_TRUE(found.problem);
      EXPECT_EQ(found.problem->offset, stream.size());
      EXPECT_THAT(found.problem->what, HasSubstr("section 'ram' 0: expected 1 byte at offset 0xbb5c"));
      continue;
    }
    ASSERT_FALSE(found.problem) << name << ": " << found.problem->what;
    EXPECT_EQ(found.bytes, stream.size()) << name;
    EXPECT_THAT(found.remarks, ElementsAre()) << name;
    for (const Device& device : found.devices)
      if (found.description) {
        EXPECT_EQ(device.not_split, "") << name << " " << device.section.name;
      }
    // What is not part of a run of PARTs follows the entry before without a gap.
    if (found.kind != wire::StreamKind::main) continue;
    std::uint64_t sum = 0;
    for (const Entry& entry : found.entries) sum += entry.bytes;
    EXPECT_EQ(sum, stream.size()) << name;
  }
}

TEST(ReadStream, NamesTheFieldsOfAMachine) {
  const auto found = inspect_golden("microvm/tcg-min64.mig");
  EXPECT_EQ(field_of(found, "cpu", "env.lstar"), "0x7fff82828282");
  EXPECT_EQ(field_of(found, "cpu", "env.star"), "0x18000881818181");
  EXPECT_EQ(field_of(found, "serial", "state.scr"), "90");
}

TEST(ReadStream, WithoutADescriptionSectionsEndAtTheirFooters) {
  const auto found = inspect_golden("07-postcopy-to-dst.bin");
  ASSERT_EQ(found.devices.size(), 2u);
  EXPECT_FALSE(found.description);
  EXPECT_EQ(field_of(found, "timer", "cpu_clock_offset"), "410602113");
  EXPECT_EQ(found.postcopy_pages, 4088u);
  auto cut = wire::test::golden("15-pc-machine.bin");
  cut.resize(0x71d7);  // the description is gone
  const auto plain = inspect_bytes(cut);
  ASSERT_FALSE(plain.problem) << plain.problem->what;
  const auto described = inspect_golden("15-pc-machine.bin");
  ASSERT_EQ(plain.devices.size(), described.devices.size());
  for (std::size_t i = 0; i < plain.devices.size(); ++i)
    EXPECT_EQ(plain.devices[i].body, described.devices[i].body);
  EXPECT_EQ(plain.devices[2].not_split, "the stream has no description");
}

TEST(ReadStream, ShowsDisksAndBitmaps) {
  const auto disks = inspect_golden("11-block-zeroblocks.bin");
  ASSERT_EQ(disks.disks.size(), 1u);
  EXPECT_EQ(disks.disks[0].zero_chunks, 3u);
  EXPECT_EQ(disks.disk_progress, 100u);
  const auto bitmaps = inspect_golden("10-dirty-bitmap-precopy.bin").bitmaps;
  ASSERT_EQ(bitmaps.size(), 3u);
  EXPECT_EQ(bitmaps[0].dirty_bytes, 0u);
  EXPECT_EQ(bitmaps[1].dirty_bytes, 266240u);
  EXPECT_EQ(bitmaps[2].dirty_bytes, 327680u);
  EXPECT_TRUE(bitmaps[2].persistent && bitmaps[2].complete);
}

TEST(ReadStream, ShowsTheOtherStreams) {
  EXPECT_EQ(inspect_golden("14-colo-to-dst.bin").checkpoints, 9u);
  EXPECT_EQ(inspect_golden("14-colo-to-src.bin").messages.size(), 28u);
  EXPECT_EQ(inspect_golden("08-postcopy-recovery-conn1-to-src.bin").messages[0].text,
            "RECV_BITMAP m0: 9 pages have arrived");
  EXPECT_EQ(inspect_golden("12-multifd-zstd-channel0.bin").blocks[0].pages.normal, 11u);
}

TEST(ReadStream, SaysWhereAndWhyAStreamIsBroken) {
  auto stream = wire::test::golden("15-pc-machine.bin");
  stream[0x5741] ^= std::byte{0x40};  // the id of a section
  const auto found = inspect_bytes(stream);
  ASSERT_TRUE(found.problem);
  EXPECT_EQ(found.problem->offset, 0x5740u);
  EXPECT_THAT(found.problem->what,
              HasSubstr("section '0000:00:01.0/PIIX3' 0: expected a record behind the footer"));
  EXPECT_EQ(found.blocks.size(), 3u) << "what came before is shown";
  const std::string nothing = "hello, world";
  EXPECT_THAT(inspect_bytes(wire::test::bytes_of(nothing)).problem->what,
              HasSubstr("not a migration stream"));
}

TEST(ReadStream, WithTheDescriptionAWrongLengthIsFoundWhereItIs) {
  const auto stream = wire::test::golden("15-pc-machine.bin");
  const auto parsed = wire::parse_description(wire::test::description_of(stream)).value();
  std::vector<std::byte> shorter(stream.begin(), stream.end());
  shorter.erase(shorter.begin() + 0x5100);  // a byte of the cpu is missing
  CollectorOptions options;
  options.described = &parsed;
  const auto found = inspect_bytes(shorter, options);
  ASSERT_TRUE(found.problem);
  EXPECT_THAT(found.problem->what,
              HasSubstr("section 'cpu' 0: expected the section's footer at offset 0x51f9"));
  EXPECT_EQ(found.problem->offset, 0x51f9u);
}

TEST(DescriptionAtEnd, IsReadFromTheEndOfTheFile) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  const auto described = [&](std::span<const std::byte> bytes) {
    const std::string path = directory->file("stream");
    std::ofstream(path, std::ios::binary) << wire::test::text_of(bytes);
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return description_at_end(file.get());
  };
  const auto stream = wire::test::golden("15-pc-machine.bin");
  ASSERT_TRUE(described(stream));
  EXPECT_EQ(described(stream)->devices.size(), 26u);
  EXPECT_FALSE(described(std::span(stream).first(stream.size() - 1)));
  EXPECT_FALSE(described(std::span(stream).first(1000)));
  EXPECT_FALSE(described({}));
}

}  // namespace
}  // namespace godwit::cli::inspect
