#include "wire/stream_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using testing::HasSubstr;
using namespace std::literals;

Result<StreamKind> kind_of(std::string_view text) {
  SpanInput in(test::bytes_of(text));
  const auto kind = detect_stream_kind(in);
  EXPECT_EQ(in.offset(), 0u);
  return kind;
}

TEST(StreamKind, IsInTheFirstBytes) {
  EXPECT_EQ(kind_of("QEVM"), StreamKind::main);
  EXPECT_EQ(kind_of("\x08\0\x0a\0\3\2m0"sv), StreamKind::recovery);
  EXPECT_EQ(kind_of("\x08\0\2\0\4\x80\0\0\1\x08\0\x0a"sv), StreamKind::recovery);
  EXPECT_EQ(kind_of("\x08\0\2\0\4\x80\0\0\1"sv), StreamKind::recovery);
  EXPECT_EQ(kind_of("\x11\x22\x33\x44"), StreamKind::multifd);
  EXPECT_EQ(kind_of("\0\2\0\4\0\0\0\1"sv), StreamKind::return_path);
  EXPECT_EQ(kind_of("\0\0\0\0\0\x12\xc0\x08\2m0"sv), StreamKind::urgent);
  EXPECT_EQ(kind_of("\0\0\0\0\0\0\0\x10"sv), StreamKind::urgent);
  EXPECT_EQ(kind_of("\x08\0\2\0\4\x80\0\0\1\0\0\0\0\0\0\0\x10"sv), StreamKind::urgent);
  EXPECT_EQ(kind_of("\0\0\0\0"sv), StreamKind::colo_answers);
  EXPECT_EQ(kind_of("\0\0\0\0\0\0\0\2"sv), StreamKind::colo_answers);
  EXPECT_EQ(kind_of("\0\0\0\0\0\0\0\2\0\0\0\5"sv), StreamKind::colo_answers);
}

TEST(StreamKind, HasANameEach) {
  EXPECT_EQ(to_string(StreamKind::main), "main stream");
  EXPECT_EQ(to_string(StreamKind::recovery), "recovery connection");
  EXPECT_EQ(to_string(StreamKind::multifd), "multifd channel");
  EXPECT_EQ(to_string(StreamKind::urgent), "urgent channel of postcopy-preempt");
  EXPECT_EQ(to_string(StreamKind::return_path), "return path");
  EXPECT_EQ(to_string(StreamKind::colo_answers), "answers of COLO's secondary");
}

TEST(StreamKind, OfSomethingElse) {
  EXPECT_THAT(kind_of("\x7f"
                      "ELF")
                  .error()
                  .what(),
              HasSubstr("expected magic 0x5145564d at offset 0x0, got 0x7f454c46"));
  EXPECT_THAT(kind_of("\0\0\0\0\0\0\0\7"sv).error().what(), HasSubstr("not a migration stream"));
  EXPECT_THAT(kind_of("Q").error().what(), HasSubstr("the stream ends after 1"));
  EXPECT_THAT(kind_of("").error().what(), HasSubstr("the stream ends after 0"));
}

}  // namespace
}  // namespace godwit::wire
