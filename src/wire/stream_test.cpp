#include <array>
#include <gtest/gtest.h>

#include <godwit/stream.h>

#include "wire/test_stream.h"

namespace godwit {
namespace {

using wire::test::bytes_of;
using wire::test::PiecewiseInput;
using wire::test::text_of;

TEST(Output, WritesBigEndian) {
  Output out;
  out.u8(0x01);
  out.be16(0x0203);
  out.be32(0x04050607);
  out.be64(0x08090a0b0c0d0e0f);
  out.counted_text("ram");
  out.zeros(2);
  out.patch_be32(3, 0xf4f5f6f7);
  EXPECT_EQ(text_of(out.data()),
            std::string_view("\x01\x02\x03\xf4\xf5\xf6\xf7\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x03ram\0\0", 21));
}

TEST(Input, ReadsBigEndianWhateverThePieces) {
  const std::string_view text("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x03ramrest", 23);
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    PiecewiseInput in(bytes_of(text), piece);
    EXPECT_EQ(in.u8().value(), 0x01);
    EXPECT_EQ(in.be16().value(), 0x0203);
    EXPECT_EQ(in.be32().value(), 0x04050607u);
    EXPECT_EQ(in.be64().value(), 0x08090a0b0c0d0e0fu);
    EXPECT_EQ(in.offset(), 15u);
    EXPECT_EQ(in.counted_text().value(), "ram");
    EXPECT_FALSE(in.at_end().value());
    std::array<std::byte, 3> part;
    ASSERT_TRUE(in.read(part));
    EXPECT_EQ(text_of(part), "res");
    ASSERT_TRUE(in.discard(1));
    EXPECT_EQ(in.offset(), text.size());
    EXPECT_TRUE(in.at_end().value());
  }
}

TEST(Input, NeedLooksAheadWithoutConsuming) {
  PiecewiseInput in(bytes_of("abcdef"), 2);
  EXPECT_EQ(text_of(in.need(3).value()), "abc");
  EXPECT_EQ(in.offset(), 0u);
  in.skip(1);
  EXPECT_EQ(text_of(in.need(5).value()), "bcdef");
  EXPECT_EQ(in.offset(), 1u);
}

TEST(Input, AnEarlyEndNamesOffsetAndExpectation) {
  SpanInput number(bytes_of("abc"), 0x1231);
  EXPECT_EQ(number.be64().error().what(), "expected 8 bytes at offset 0x1231, the stream ends after 3");

  SpanInput text(
      bytes_of("\x05"
               "ab"));
  EXPECT_EQ(text.counted_text().error().what(), "expected 5 bytes at offset 0x1, the stream ends after 2");

  for (const std::size_t piece : {1, 2, 7}) {
    PiecewiseInput in(bytes_of("abcdef"), piece);
    std::array<std::byte, 9> part;
    ASSERT_TRUE(in.u8());
    EXPECT_EQ(in.read(part).error().what(), "expected 9 bytes at offset 0x1, the stream ends after 5");
  }

  SpanInput nothing(bytes_of(""));
  EXPECT_EQ(nothing.u8().error().what(), "expected 1 byte at offset 0x0, the stream ends after 0");
}

TEST(Input, DiscardsMoreThanItsBuffer) {
  const std::string text(100'000, 'x');
  PiecewiseInput in(bytes_of(text), 999);
  ASSERT_TRUE(in.discard(99'999));
  EXPECT_EQ(in.offset(), 99'999u);
  ASSERT_FALSE(in.discard(2));
}

}  // namespace
}  // namespace godwit
