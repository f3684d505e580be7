#include "wire/bitmap_section.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using test::bytes_of;
using testing::HasSubstr;
using namespace std::literals;
using Kind = BitmapChunk::Kind;

std::string error_of(std::string_view text) {
  SpanInput in(bytes_of(text));
  BitmapReader reader;
  for (;;) {
    const auto chunk = reader.next(in);
    if (!chunk) return chunk.error().what();
    if (chunk->end) return "";
  }
}

TEST(BitmapChunk, BytesOfTheSpecification) {
  SpanInput in(
      bytes_of("\x1c\5disk0\3bmC\0\1\0\0\0"
               "\x14\3bmA\0\1\0\0\3"
               "\x40\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0"
               "\x42\0\0\0\0\0\2\0\0\0\0\0\x80"
               "\x20\1"sv));
  BitmapReader reader;
  const auto first = reader.next(in).value();
  EXPECT_EQ(first.kind, Kind::start);
  EXPECT_EQ(first.node, "disk0");
  EXPECT_EQ(first.granularity, 65536u);
  EXPECT_FALSE(first.enabled);
  EXPECT_EQ(reader.bitmap(), "bmC");
  const auto second = reader.next(in).value();
  EXPECT_FALSE(second.node);
  EXPECT_TRUE(second.enabled && second.persistent);
  EXPECT_EQ(reader.node(), "disk0");
  EXPECT_EQ(reader.bitmap(), "bmA");
  const auto bits = reader.next(in).value();
  EXPECT_EQ(bits.sectors, 131072u);
  EXPECT_EQ(bits.payload, 0u);
  const auto clear = reader.next(in).value();
  EXPECT_TRUE(clear.zeroes);
  EXPECT_EQ(clear.first_sector, 131072u);
  EXPECT_EQ(reader.next(in).value().kind, Kind::complete);
  EXPECT_TRUE(reader.next(in).value().end);
  EXPECT_TRUE(in.at_end().value());
}

TEST(BitmapChunk, LongFlagsAreReadIfTheySayNothingNew) {
  EXPECT_EQ(error_of("\x80\1"sv), "");
  EXPECT_EQ(error_of("\x80\x80\0\1"sv), "");
  EXPECT_THAT(error_of("\x81\1"sv), HasSubstr("flags up to 0x7f at offset 0x0, got 0x101"));
  EXPECT_THAT(error_of("\x80\x80\1\1"sv), HasSubstr("got 0x101"));
}

TEST(BitmapChunk, RefusesWhatIsNoChunk) {
  EXPECT_THAT(error_of("\0"sv), HasSubstr("at offset 0x0, got flags 0x0"));
  EXPECT_THAT(error_of("\x30"sv), HasSubstr("got flags 0x30"));
  EXPECT_THAT(error_of("\3"sv), HasSubstr("clear bits only with bits"));
  EXPECT_THAT(error_of("\x10"sv), HasSubstr("the names of a node and a bitmap in the first chunk"));
  EXPECT_THAT(error_of("\x1c\0"sv), HasSubstr("the name of a node at offset 0x1"));
  EXPECT_THAT(error_of("\x1c\1n\1b\0\1\0\1"sv), HasSubstr("a power of two at offset 0x5, got 65537"));
  EXPECT_THAT(error_of("\x1c\1n\1b\0\1\0\0\x08"sv), HasSubstr("flags up to 0x7 at offset 0x9, got 0x8"));
  EXPECT_THAT(error_of("\x4c\1n\1b\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\x28\1"sv),
              HasSubstr("at most 10240 bytes of bits at offset 0x11, got 10241"));
}

RC_GTEST_PROP(BitmapChunk, RoundTrips, ()) {
  BitmapChunk chunk;
  chunk.kind = *rc::gen::element(Kind::start, Kind::bits, Kind::complete);
  chunk.node = "node";
  chunk.bitmap = std::string(*rc::gen::inRange<std::size_t>(1, 256), 'b');
  chunk.end = *rc::gen::arbitrary<bool>();
  if (chunk.kind == Kind::start) {
    chunk.granularity = std::uint32_t{1} << *rc::gen::inRange(9, 31);
    chunk.enabled = *rc::gen::arbitrary<bool>();
    chunk.persistent = *rc::gen::arbitrary<bool>();
    chunk.ignored = *rc::gen::arbitrary<bool>();
  }
  if (chunk.kind == Kind::bits) {
    chunk.zeroes = *rc::gen::arbitrary<bool>();
    chunk.first_sector = *rc::gen::arbitrary<std::uint64_t>();
    chunk.sectors = *rc::gen::arbitrary<std::uint32_t>();
    if (!chunk.zeroes) chunk.payload = *rc::gen::inRange<std::uint32_t>(0, 10241);
  }
  Output out;
  encode_bitmap_chunk(out, chunk);
  SpanInput in(out.data());
  BitmapReader reader;
  RC_ASSERT(reader.next(in).value() == chunk);
  RC_ASSERT(in.at_end().value());
}

}  // namespace
}  // namespace godwit::wire
