#include "wire/block_section.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using test::bytes_of;
using test::text_of;
using testing::HasSubstr;
using namespace std::literals;
using Kind = DiskRecord::Kind;

std::string error_of(std::string_view text) {
  SpanInput in(bytes_of(text));
  const auto record = decode_disk_record(in);
  return record ? "" : record.error().what();
}

TEST(DiskRecord, BytesOfTheSpecification) {
  SpanInput in(
      bytes_of("\0\0\0\0\0\x10\0\1\6drive0"
               "\0\0\0\0\0\0\xc8\4"
               "\0\0\0\0\0\0\0\2"sv));
  const auto chunk = decode_disk_record(in).value();
  EXPECT_EQ(chunk, (DiskRecord{Kind::chunk, false, false, "drive0", 2048, 0, 1024 * 1024}));
  EXPECT_EQ(decode_disk_record(in).value().percent, 100u);
  const auto end = decode_disk_record(in).value();
  EXPECT_EQ(end.kind, Kind::end);
  EXPECT_TRUE(end.end);
  EXPECT_TRUE(in.at_end().value());
}

TEST(DiskRecord, RefusesWhatIsNoRecord) {
  EXPECT_THAT(error_of("\0\0\0\0\0\0\0\0"sv), HasSubstr("at offset 0x0, got flags 0x0"));
  EXPECT_THAT(error_of("\0\0\0\0\0\0\0\x10"sv), HasSubstr("got flags 0x10"));
  EXPECT_THAT(error_of("\0\0\0\0\0\0\0\5"sv), HasSubstr("got both"));
  EXPECT_THAT(error_of("\0\0\0\0\0\0\0\x0a"sv), HasSubstr("empty chunk"));
  EXPECT_THAT(error_of("\0\0\0\0\0\0\2\1"sv), HasSubstr("a multiple of 2048 at offset 0x0, got 1"));
  EXPECT_THAT(error_of("\0\0\0\0\0\0\0\1\0"sv), HasSubstr("the name of a disk at offset 0x8"));
  EXPECT_THAT(error_of("\0\0\0\0\0\0\xca\4"sv), HasSubstr("at most 100 percent at offset 0x0, got 101"));
  EXPECT_THAT(error_of("\0\0\0\0\0\x10\0\2"sv), HasSubstr("a mark without a sector"));
}

RC_GTEST_PROP(DiskRecord, RoundTrips, (bool zero, bool end)) {
  DiskRecord record{Kind::chunk,
                    end,
                    zero,
                    std::string(*rc::gen::inRange<std::size_t>(1, 256), 'd'),
                    *rc::gen::inRange<std::uint64_t>(0, std::uint64_t{1} << 40) * disk_chunk_sectors,
                    0,
                    zero ? 0 : disk_chunk_size};
  if (*rc::gen::arbitrary<bool>())
    record = {Kind::progress, end, false, "", 0, *rc::gen::inRange<std::uint32_t>(0, 101), 0};
  Output out;
  encode_disk_record(out, record);
  SpanInput in(out.data());
  RC_ASSERT(decode_disk_record(in).value() == record);
  RC_ASSERT(in.at_end().value());
}

}  // namespace
}  // namespace godwit::wire
