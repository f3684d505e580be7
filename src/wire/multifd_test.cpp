#include "wire/multifd.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <string>
#include <vector>

#include "base/fail.h"
#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using test::golden;
using testing::HasSubstr;

using Header = std::array<std::byte, MultifdPacket::header_size>;

PageReader::FindBlock one_block(std::uint64_t length) {
  return [length](std::string_view name) -> Result<KnownBlock> {
    if (name != "m0") return fail("no block '{}'", name);
    return KnownBlock{3, length};
  };
}

MultifdPacket packet_of(std::vector<std::uint64_t> normal, std::vector<std::uint64_t> zero = {}) {
  MultifdPacket packet;
  packet.set_block("m0");
  packet.normal_pages = static_cast<std::uint32_t>(normal.size());
  packet.zero_pages = static_cast<std::uint32_t>(zero.size());
  std::ranges::copy(zero, std::ranges::copy(normal, packet.offsets.begin()).out);
  packet.data_size = packet.normal_pages * 4096;
  packet.set_flags(false, MultifdMethod::none);
  return packet;
}

std::string error_of(const MultifdPacket& packet, MultifdMethod method = MultifdMethod::none) {
  Header bytes;
  encode_multifd_packet(packet, bytes);
  SpanInput in(bytes);
  MultifdReader reader(method, one_block(0x4000));
  const auto result = reader.next(in);
  return result ? "" : result.error().what();
}

TEST(MultifdHello, OfTheGoldenChannels) {
  for (const int channel : {0, 1}) {
    const auto bytes = golden("12-multifd-zlib-channel" + std::to_string(channel) + ".bin");
    SpanInput in(bytes);
    const auto hello = decode_multifd_hello(in);
    ASSERT_TRUE(hello) << hello.error().what();
    EXPECT_EQ(hello->channel, channel);
    EXPECT_EQ(hello->uuid[0], 0x12);
    EXPECT_EQ(hello->uuid[15], 0x88);
    Output out;
    encode_multifd_hello(out, *hello);
    EXPECT_TRUE(std::ranges::equal(out.data(), std::span(bytes).first(MultifdHello::size)));
  }
}

TEST(MultifdHello, RefusesOthers) {
  Output out;
  encode_multifd_hello(out, {});
  const std::vector<std::byte> good(out.data().begin(), out.data().end());
  const auto error = [](std::span<const std::byte> bytes) {
    SpanInput in(bytes);
    const auto hello = decode_multifd_hello(in);
    return hello ? "" : hello.error().what();
  };
  EXPECT_EQ(error(good), "");
  auto bad = good;
  bad[3] = std::byte{0x45};
  EXPECT_EQ(error(bad), "multifd: expected the magic 0x11223344 at offset 0x0, got 0x11223345");
  bad = good;
  bad[7] = std::byte{2};
  EXPECT_EQ(error(bad), "multifd: expected version 1 at offset 0x4, got 2");
  EXPECT_EQ(error(std::span(good).first(63)), "expected 64 bytes at offset 0x0, the stream ends after 63");
}

struct ChannelCase {
  const char* name;
  std::size_t pages;
};
class GoldenChannel : public testing::TestWithParam<ChannelCase> {};

TEST_P(GoldenChannel, IsReadAndEncodedToTheSame) {
  const auto bytes = golden(GetParam().name);
  SpanInput in(bytes);
  ASSERT_TRUE(decode_multifd_hello(in));
  MultifdReader reader(MultifdMethod::none, one_block(16 << 20));
  std::size_t pages = 0;
  int syncs = 0;
  while (!in.at_end().value()) {
    const std::uint64_t start = in.offset();
    const auto read = reader.next(in);
    ASSERT_TRUE(read) << read.error().what();
    Header again;
    encode_multifd_packet(reader.packet(), again);
    EXPECT_TRUE(std::ranges::equal(again, std::span(bytes).subspan(start, again.size())));
    pages += reader.packet().normal_pages;
    syncs += reader.packet().sync();
    ASSERT_TRUE(in.discard(reader.data()));
  }
  EXPECT_EQ(pages, GetParam().pages);
  EXPECT_GE(syncs, 3);  // START, a PART, END
}

INSTANTIATE_TEST_SUITE_P(Channels, GoldenChannel,
                         testing::Values(ChannelCase{"12-multifd-none-channel0.bin", 10},
                                         ChannelCase{"12-multifd-none-channel1.bin", 1}),
                         [](const auto& instance) { return std::string(instance.param.name).substr(16, 8); });

TEST(MultifdPacket, NamesAreCutAtTheFirstNul) {
  MultifdPacket packet;
  packet.set_block("a longer name");
  packet.set_block("pc.ram");
  EXPECT_EQ(packet.block_name(), "pc.ram");
  EXPECT_EQ(packet.block[7], '\0');
  packet.block.fill('x');
  EXPECT_EQ(packet.block_name().size(), 256u);
}

TEST(MultifdReader, TakesZeroPagesBehindTheOthers) {
  Header bytes;
  encode_multifd_packet(packet_of({0x1000}, {0, 0x3000}), bytes);
  SpanInput in(bytes);
  MultifdReader reader(MultifdMethod::none, one_block(0x4000));
  ASSERT_TRUE(reader.next(in));
  EXPECT_EQ(reader.block().index, 3u);
  EXPECT_EQ(reader.data(), 4096u);
  EXPECT_THAT(reader.packet().normal(), testing::ElementsAre(0x1000));
  EXPECT_THAT(reader.packet().zero(), testing::ElementsAre(0, 0x3000));
}

TEST(MultifdReader, IgnoresWhatIsLeftOverInAPacketWithoutPages) {
  MultifdPacket packet = packet_of({});
  packet.set_block("gone");
  packet.data_size = 0xffffffff;
  packet.offsets.fill(0x123);
  packet.set_flags(true, MultifdMethod::zstd);
  EXPECT_EQ(packet.flags, 1u);  // the method stays out
  EXPECT_EQ(error_of(packet, MultifdMethod::zstd), "");

  packet = packet_of({0x1000});
  packet.offsets.fill(0x3000);
  packet.offsets[100] = 0x123;
  EXPECT_EQ(error_of(packet), "");
}

TEST(MultifdReader, RefusesWhatItCannotPlace) {
  MultifdPacket packet = packet_of({0, 0x3000});
  EXPECT_EQ(error_of(packet), "");

  packet.offsets[1] = 0x4000;
  EXPECT_EQ(
      error_of(packet),
      "multifd packet: expected a page below 0x4000, the length of the block, at offset 0x148, got 0x4000");
  packet.offsets[1] = ~std::uint64_t{0} << 12;
  EXPECT_THAT(error_of(packet), HasSubstr("got 0xfffffffffffff000"));
  packet.offsets[1] = 0x2800;
  EXPECT_THAT(error_of(packet), HasSubstr("got 0x2800"));

  packet = packet_of({0}, {0x4000});
  EXPECT_THAT(error_of(packet), HasSubstr("expected a page below 0x4000"));

  packet = packet_of({0});
  packet.set_block("m1");
  EXPECT_EQ(error_of(packet), "multifd packet's block name at offset 0x40: no block 'm1'");
  packet.block.fill('x');
  EXPECT_EQ(error_of(packet), "multifd packet: the name of the block at offset 0x40 has no end");

  packet = packet_of({0});
  packet.capacity = 129;
  EXPECT_EQ(error_of(packet), "multifd packet: expected room for at most 128 pages at offset 0xc, got 129");
  packet.capacity = 10;
  packet.normal_pages = 11;
  EXPECT_EQ(error_of(packet), "multifd packet: expected at most 10 pages at offset 0x10, got 11");
  packet.normal_pages = 9;
  packet.zero_pages = 0xffffffff;
  EXPECT_EQ(error_of(packet), "multifd packet: expected at most 1 zero pages at offset 0x20, got 4294967295");

  packet = packet_of({0});
  packet.data_size = 4097;
  EXPECT_EQ(error_of(packet), "multifd packet: 4097 bytes of data for 1 pages at offset 0x14");
  packet.set_flags(false, MultifdMethod::zlib);
  EXPECT_EQ(error_of(packet, MultifdMethod::zlib), "");
  packet.data_size = MultifdPacket::data_limit + 1;
  EXPECT_THAT(error_of(packet, MultifdMethod::zlib), HasSubstr("1048577 bytes of data"));
  packet.data_size = 0;
  EXPECT_THAT(error_of(packet, MultifdMethod::zlib), HasSubstr("0 bytes of data"));

  packet = packet_of({0});
  EXPECT_THAT(error_of(packet, MultifdMethod::zstd), HasSubstr("another compression"));
  packet.flags = 0x40;
  EXPECT_EQ(error_of(packet), "multifd packet: flags 0x40 at offset 0x8 are not known here");
}

RC_GTEST_PROP(MultifdReader, WhatIsEncodedIsRead, ()) {
  MultifdPacket packet;
  const auto normal = *rc::gen::inRange<std::uint32_t>(0, 129);
  packet.normal_pages = normal;
  packet.zero_pages = *rc::gen::inRange<std::uint32_t>(0, 129 - normal);
  packet.data_size = normal * 4096;
  packet.number = *rc::gen::arbitrary<std::uint64_t>();
  packet.set_block("m0");
  for (std::uint64_t& offset : packet.offsets) offset = *rc::gen::inRange<std::uint64_t>(0, 512) * 4096;
  packet.set_flags(*rc::gen::arbitrary<bool>(), MultifdMethod::none);
  Header bytes;
  encode_multifd_packet(packet, bytes);
  test::PiecewiseInput in(bytes, *rc::gen::inRange<std::size_t>(1, 2000));
  MultifdReader reader(MultifdMethod::none, one_block(512 * 4096));
  RC_ASSERT(reader.next(in).has_value());
  RC_ASSERT(reader.packet().offsets == packet.offsets);
  RC_ASSERT(reader.packet().number == packet.number);
  RC_ASSERT(reader.packet().flags == packet.flags);
  RC_ASSERT(reader.data() == normal * 4096);
}

}  // namespace
}  // namespace godwit::wire
