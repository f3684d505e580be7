#include "wire/section_end.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using test::bytes_of;
using test::PiecewiseInput;
using test::text_of;
using testing::HasSubstr;
using namespace std::literals;

TEST(ReadToFooter, TakesTheFirstFooterThatARecordFollows) {
  const std::string footer = "\x7e\0\0\0\5"s;
  const std::string body =
      "ab"s + footer + "cd" + footer + "\4\0\0\0\6\3f\1o";  // nothing a stream goes on with
  for (const std::string& next :
       {"\0"s, "\4\0\0\0\6\3foo\0\0\0\0\0\0\0\1"s, "\2\0\0\0\2"s, "\x08\0\5\0\0"s}) {
    const std::string text = body + footer + next;
    for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, text.size()}) {
      PiecewiseInput in(bytes_of(text), piece);
      const auto data = read_to_footer(in, 5);
      ASSERT_TRUE(data) << data.error().what();
      EXPECT_EQ(text_of(*data), body);
      EXPECT_EQ(in.offset(), body.size());
    }
  }
}

TEST(ReadToFooter, GivesUp) {
  const std::string text = "abcdefgh\x7e\0\0\0\6\0"s;
  SpanInput other(bytes_of(text));
  EXPECT_THAT(
      read_to_footer(other, 5).error().what(),
      HasSubstr("looking for the footer of section id 5 behind the data from offset 0x0: expected 5 bytes at "
                "offset 0xa, the stream ends after 4"));
  const std::string damaged = "ab\x7e\0\0\0\5\x77more"s;
  SpanInput no_record(bytes_of(damaged));
  EXPECT_THAT(read_to_footer(no_record, 5).error().what(),
              HasSubstr("expected a record behind the footer of section id 5 at offset 0x7"));
  SpanInput bounded(bytes_of(text));
  EXPECT_THAT(read_to_footer(bounded, 6, 6).error().what(), HasSubstr("within 6 bytes from offset 0x0"));
  SpanInput enough(bytes_of(text));
  EXPECT_EQ(read_to_footer(enough, 6, 9).value().size(), 8u);
}

}  // namespace
}  // namespace godwit::wire
