#include "wire/mapped_ram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t start = 0x54;  // of the header in the stream

std::string error_of(const MappedRam& header, std::uint64_t file_offset = 0) {
  Output out;
  encode_mapped_ram(out, header);
  SpanInput in(out.data(), start);
  const auto decoded = decode_mapped_ram(in, 0x1000000, file_offset);
  if (decoded) {
    EXPECT_EQ(*decoded, header);
  }
  return decoded ? "" : decoded.error().what();
}

TEST(MappedRam, TheHeaderSaysWhereEverythingIs) {
  EXPECT_EQ(error_of({4096, start + 28, 0x100000}), "");
  EXPECT_EQ(error_of({4096, start + 28 + 0x1000, 0x100000}, 0x1000), "");
  EXPECT_THAT(error_of({8192, start + 28, 0x100000}),
              HasSubstr("pages of 4096 bytes at offset 0x58, got 8192"));
  EXPECT_THAT(error_of({4096, start + 29, 0x100000}), HasSubstr("at offset 0x60, got 0x71"));
  EXPECT_THAT(error_of({4096, start + 28, start + 28 + 511}),
              HasSubstr("behind the bitmap, 0x270, at offset 0x68"));
  Output out;
  out.be32(2);
  SpanInput in(out.data());
  EXPECT_THAT(decode_mapped_ram(in, 4096, 0).error().what(),
              HasSubstr("expected version 1 at offset 0x0, got 2"));
}

TEST(MappedRam, BitmapsAreLittleEndianAndBounded) {
  const auto bits = [](std::initializer_list<int> bytes) {
    Output out;
    for (const int byte : bytes) out.u8(static_cast<std::uint8_t>(byte));
    return out;
  };
  const Output good = bits({0x27, 0, 3, 0, 0x30, 0, 0, 0});
  SpanInput in(good.data());
  EXPECT_THAT(decode_mapped_bitmap(in, 64 * 4096).value(), testing::ElementsAre(0x3000030027));
  SpanInput shorter(good.data());
  EXPECT_THAT(decode_mapped_bitmap(shorter, 37 * 4096).error().what(), HasSubstr("no page past the end"));
  SpanInput longer(good.data());
  EXPECT_THAT(decode_mapped_bitmap(longer, std::uint64_t{1} << 60).error().what(),
              HasSubstr("the stream ends"));
  SpanInput none(good.data());
  EXPECT_TRUE(decode_mapped_bitmap(none, 0).value().empty());
}

TEST(MappedRam, EverythingIsWherePeersPutIt) {
  // As in sample 16.
  EXPECT_EQ(place_mapped_ram(16 << 20, 0x64), (MappedRam{4096, 0x80, 0x100000}));
  // A bitmap that goes on beyond the first MiB, and one that just does not.
  EXPECT_EQ(place_mapped_ram(std::uint64_t{32} << 30, 0x64), (MappedRam{4096, 0x80, 0x200000}));
  EXPECT_EQ(place_mapped_ram((std::uint64_t{32} << 30) - 4096 * 1024, 0x64),
            (MappedRam{4096, 0x80, 0x100000}));
  for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{4096}, std::uint64_t{1} << 40}) {
    const MappedRam place = place_mapped_ram(length, 12345);
    Output out;
    encode_mapped_ram(out, place);
    EXPECT_EQ(out.size(), mapped_header_size);
    SpanInput in(out.data(), 345);
    EXPECT_EQ(decode_mapped_ram(in, length, 12000).value(), place);
  }
}

TEST(MappedRam, PagesEndBelowAllNumbers) {
  EXPECT_THAT(error_of({4096, start + 28, std::uint64_t{0} - 4096}),
              HasSubstr("end below 2^64 at offset 0x68"));
}

TEST(MappedRam, BitmapsComeBack) {
  const std::uint64_t words[] = {0x3000030027, 0, ~std::uint64_t{0}};
  Output out;
  encode_mapped_bitmap(out, words);
  SpanInput in(out.data());
  EXPECT_THAT(decode_mapped_bitmap(in, 192 * 4096).value(), testing::ElementsAreArray(words));
}

}  // namespace
}  // namespace godwit::wire
