#include "vm/board/boot_sector.h"

#include <gmock/gmock.h>

#include "vm/testing/witness.h"

namespace godwit::vm {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryFile;

std::vector<std::byte> sector_of(std::size_t size) {
  std::vector<std::byte> bytes(size);
  if (size >= sector_size) {
    bytes[510] = std::byte{0x55};
    bytes[511] = std::byte{0xaa};
  }
  return bytes;
}

TEST(BootSector, AnImageOfOneSectorIsEnough) {
  auto bytes = sector_of(sector_size);
  bytes[0] = std::byte{0xfa};
  const TemporaryFile file(bytes);
  const auto sector = read_boot_sector(file.path());
  ASSERT_TRUE(sector) << sector.error().what();
  EXPECT_EQ((*sector)[0], std::byte{0xfa});
}

TEST(BootSector, SaysWhatIsWrong) {
  const TemporaryFile shorter(sector_of(100));
  EXPECT_THAT(read_boot_sector(shorter.path()).error().what(), HasSubstr("100 bytes"));
  auto unsigned_bytes = sector_of(sector_size);
  unsigned_bytes[511] = std::byte{0x12};
  const TemporaryFile unbootable(unsigned_bytes);
  EXPECT_THAT(read_boot_sector(unbootable.path()).error().what(), HasSubstr("ends with 55 12"));
  EXPECT_THAT(read_boot_sector("/nonexistent/disk").error().what(),
              HasSubstr("'/nonexistent/disk': No such file or directory"));
}

TEST(BootSector, TheProcessorIsAsABiosLeavesIt) {
  const CpuState state = booting_cpu();
  EXPECT_EQ(state.rip, 0x7c00u);
  EXPECT_EQ(state.registers[rdx] & 0xff, 0x80u);
  EXPECT_EQ(state.cr0 & cr0_bit::protection, 0u);
  for (const Segment& segment : state.segments) {
    EXPECT_EQ(segment.selector, 0u);
    EXPECT_EQ(segment.base, 0u);
    EXPECT_EQ(segment.limit, 0xffffu);
  }
}

}  // namespace
}  // namespace godwit::vm
