#include "vm/board/port_map.h"

#include <gmock/gmock.h>
#include <vector>

#include "vm/devices/reset_ports.h"

namespace godwit::vm {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

struct Recorder final : PortDevice {
  std::uint8_t read(unsigned offset) override { return static_cast<std::uint8_t>(0x10 + offset); }
  void write(unsigned offset, std::uint8_t value) override { writes.emplace_back(offset, value); }
  std::vector<std::pair<unsigned, std::uint8_t>> writes;
};

TEST(PortMap, SplitsWideAccessesIntoBytes) {
  Recorder device;
  PortMap map;
  map.add(0x40, 3, device);
  map.write(0x41, 4, 0xddccbbaa);
  EXPECT_THAT(device.writes, ElementsAre(Pair(1u, 0xaa), Pair(2u, 0xbb)));
  EXPECT_EQ(map.read(0x40, 4), 0xff121110u);
  EXPECT_EQ(map.read(0x42, 1), 0x12u);
}

TEST(PortMap, UnknownPortsReadAsOnes) {
  const PortMap map;
  EXPECT_EQ(map.read(0x1f0, 1), 0xffu);
  EXPECT_EQ(map.read(0x1f0, 2), 0xffffu);
  EXPECT_EQ(map.read(0xffff, 4), 0xffffffffu);
  map.write(0x1f0, 4, 0);
}

TEST(SystemControlPort, KeepsA20AndResetsOnARisingEdge) {
  int resets = 0;
  SystemControlPort port([&] { ++resets; });
  port.write(0, 2);
  EXPECT_EQ(port.read(0), 2);
  EXPECT_EQ(resets, 0);
  port.write(0, 3);
  port.write(0, 3);
  EXPECT_EQ(resets, 1);
  port.write(0, 2);
  port.write(0, 3);
  EXPECT_EQ(resets, 2);
  port.reset();
  EXPECT_EQ(port.read(0), 0);
}

TEST(SystemControlPort, MovesWithItsSection) {
  SystemControlPort from([] {});
  SystemControlPort to([] { FAIL() << "a load is no write"; });
  from.write(0, 2);
  Output out;
  std::string description;
  ASSERT_TRUE(from.section()->save(out, description));
  SpanInput in(out.data());
  ASSERT_TRUE(to.section()->load(in, 1));
  EXPECT_EQ(to.read(0), 2);
}

TEST(ResetControlPort, ResetsOnBitTwo) {
  int resets = 0;
  ResetControlPort port([&] { ++resets; });
  port.write(0, 2);
  EXPECT_EQ(resets, 0);
  port.write(0, 6);
  EXPECT_EQ(resets, 1);
}

}  // namespace
}  // namespace godwit::vm
