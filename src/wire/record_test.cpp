#include "wire/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <set>

#include "wire/command.h"
#include "wire/return_path.h"
#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using test::bytes_of;
using test::text_of;
using testing::HasSubstr;
using namespace std::literals;

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte b : bytes) {
    text += "0123456789abcdef"[static_cast<unsigned>(b) >> 4];
    text += "0123456789abcdef"[static_cast<unsigned>(b) & 15];
  }
  return text;
}

std::string encoded(const Command& command) {
  Output out;
  encode_command(out, command);
  return hex(out.data());
}

std::string encoded(const ReturnMessage& message) {
  Output out;
  encode_return_message(out, message);
  return hex(out.data());
}

TEST(Record, TypesInTheLoop) {
  for (const char type : "\0\1\2\3\4\x08"sv) {
    SpanInput in(bytes_of({&type, 1}));
    EXPECT_EQ(static_cast<char>(decode_record_type(in).value()), type);
  }
  for (const char type : "\5\6\7\x09\x7e"sv) {
    SpanInput in(bytes_of({&type, 1}), 0x40);
    EXPECT_THAT(decode_record_type(in).error().what(), HasSubstr("at offset 0x40, got type byte"));
  }
}

TEST(Record, TypesHaveNames) {
  std::set<std::string_view> names;
  for (const unsigned type : {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x7e})
    names.insert(to_string(static_cast<RecordType>(type)));
  EXPECT_EQ(names.size(), 10u);
  EXPECT_FALSE(names.contains("unknown"));
  EXPECT_EQ(to_string(static_cast<RecordType>(0x7f)), "unknown");
}

TEST(Record, SectionFrame) {
  const SectionHeader header{2, "ram", 0, 4};
  Output out;
  encode_section_header(out, RecordType::section_start, header);
  encode_footer(out, 2);
  EXPECT_EQ(text_of(out.data()), "\1\0\0\0\2\3ram\0\0\0\0\0\0\0\4\x7e\0\0\0\2"sv);
  SpanInput in(out.data());
  EXPECT_EQ(decode_record_type(in).value(), RecordType::section_start);
  EXPECT_EQ(decode_section_header(in).value(), header);
  EXPECT_TRUE(decode_footer(in, 2));
}

TEST(Record, AWrongFooterIsNamed) {
  SpanInput type(bytes_of("\x04\0\0\0\2"sv));
  EXPECT_EQ(decode_footer(type, 2).error().what(),
            "expected the section's footer (0x7e) at offset 0x0, got 0x04");
  SpanInput id(bytes_of("\x7e\0\0\0\3"sv));
  EXPECT_EQ(decode_footer(id, 2).error().what(),
            "expected the footer of section id 2 at offset 0x0, got id 3");
}

TEST(Record, DescriptionIsBounded) {
  Output out;
  encode_description(out, "{}");
  SpanInput in(out.data().subspan(1));
  EXPECT_EQ(decode_description(in).value(), "{}");
  SpanInput huge(bytes_of("\xff\0\0\0"sv));
  EXPECT_THAT(decode_description(huge).error().what(), HasSubstr("at most 67108864 bytes at offset 0x0"));
  // Announced but not there: nothing of the size is allocated before the first pieces have come.
  SpanInput missing(bytes_of("\3\0\0\0abc"sv));
  EXPECT_THAT(decode_description(missing).error().what(), HasSubstr("the stream ends after 3"));
}

TEST(Command, BytesOfTheSpecification) {
  EXPECT_EQ(encoded(OpenReturnPath{}), "0800010000");
  EXPECT_EQ(encoded(Ping{1}), "080002000400000001");
  EXPECT_EQ(encoded(PostcopyAdvise{{{4096, 4096}}}), "080003001000000000000010000000000000001000");
  EXPECT_EQ(encoded(PostcopyAdvise{}), "0800030000");
  EXPECT_EQ(encoded(PostcopyListen{}), "0800040000");
  EXPECT_EQ(encoded(PostcopyRun{}), "0800050000");
  EXPECT_EQ(encoded(PostcopyDiscard{"m0", {{0x1000, 0x1000}, {0x3000, 0x1000}, {0x8000, 0xff8000}}}),
            "080006003500026d3000"
            "00000000000010000000000000001000"
            "00000000000030000000000000001000"
            "00000000000080000000000000ff8000");
  EXPECT_EQ(encoded(Packaged{2489}), "0800070004000009b9");
  EXPECT_EQ(encoded(EnableColo{}), "0800080000");
  EXPECT_EQ(encoded(PostcopyResume{}), "0800090000");
  EXPECT_EQ(encoded(ReceivedBitmapRequest{"m0"}), "08000a0003026d30");
  EXPECT_EQ(encoded(SwitchoverStart{}), "08000b0000");
}

TEST(Command, EveryLengthIsChecked) {
  const auto error = [](std::string_view text) {
    SpanInput in(bytes_of(text));
    const auto result = decode_command(in);
    return result ? std::string() : result.error().what();
  };
  EXPECT_EQ(error("\0\0\0\0"sv), "expected a command from 1 to 11 at offset 0x0, got 0");
  EXPECT_EQ(error("\0\x0c\0\0"sv), "expected a command from 1 to 11 at offset 0x0, got 12");
  EXPECT_EQ(error("\0\1\0\1x"sv), "command OPEN_RETURN_PATH: expected a length of 0 at offset 0x2, got 1");
  EXPECT_EQ(error("\0\2\0\5xxxxx"sv), "command PING: expected a length of 4 at offset 0x2, got 5");
  EXPECT_EQ(error("\0\3\0\x08xxxxxxxx"sv),
            "command POSTCOPY_ADVISE: expected a length of 0 or 16 at offset 0x2, got 8");
  EXPECT_EQ(error("\0\7\0\0"sv), "command PACKAGED: expected a length of 4 at offset 0x2, got 0");
  EXPECT_EQ(error("\0\x0a\0\4\2m0"sv), "command RECV_BITMAP: expected a length of 3 at offset 0x2, got 4");
  EXPECT_THAT(error("\0\6\0\x10"sv), HasSubstr("expected a length of at least 20 at offset 0x2, got 16"));
  EXPECT_THAT(error("\0\6\0\x14\1"sv), HasSubstr("expected version 0 at offset 0x4, got 1"));
  EXPECT_THAT(error("\0\6\0\x15\0\2m0x"sv),
              HasSubstr("expected a zero byte behind the name at offset 0x8, got 0x78"));
  EXPECT_THAT(error("\0\6\0\x14\0\2m0\0"sv), HasSubstr("expected whole ranges of 16 bytes at offset 0x9"));
}

RC_GTEST_PROP(Command, DiscardsRoundTrip, (std::vector<std::pair<std::uint64_t, std::uint64_t>> raw)) {
  PostcopyDiscard discard{"block", {{1, 2}}};
  for (const auto& [start, length] : raw) discard.ranges.push_back({start, length});
  Output out;
  encode_command(out, discard);
  SpanInput in(out.data().subspan(1));
  RC_ASSERT(decode_command(in).value() == Command(discard));
  RC_ASSERT(in.at_end().value());
}

RC_GTEST_PROP(Command, ArbitraryBytesGiveAValueThatRoundTripsOrAnError, (std::vector<std::uint8_t> tail)) {
  const auto code = *rc::gen::inRange<std::uint8_t>(0, 13);
  std::vector<std::uint8_t> bytes{0, code};
  bytes.insert(bytes.end(), tail.begin(), tail.end());
  SpanInput in(std::as_bytes(std::span(bytes)));
  const auto command = decode_command(in);
  if (!command) {
    RC_ASSERT(command.error().what().find("offset 0x") != std::string::npos);
    return;
  }
  Output out;
  encode_command(out, *command);
  RC_ASSERT(text_of(out.data().subspan(1)) == text_of(std::as_bytes(std::span(bytes)).first(in.offset())));
}

TEST(ReturnPath, BytesOfTheSpecification) {
  EXPECT_EQ(encoded(Pong{1}), "0002000400000001");
  EXPECT_EQ(encoded(PageRequest{0x12c000, 0x1000, "m0"}), "0003000f000000000012c00000001000026d30");
  EXPECT_EQ(encoded(PageRequest{0xbb8000, 0x1000, {}}), "0004000c0000000000bb800000001000");
  EXPECT_EQ(encoded(ReceivedBitmap{"m0"}), "00050003026d30");
  EXPECT_EQ(encoded(ResumeAck{1}), "0006000400000001");
  EXPECT_EQ(encoded(Shut{0}), "0001000400000000");
  EXPECT_EQ(encoded(SwitchoverAck{}), "00070000");
}

TEST(ReturnPath, GoldenStreamsRoundTrip) {
  for (const char* name : {"06-return-path-to-src.bin", "07-postcopy-to-src.bin"}) {
    const auto bytes = test::golden(name);
    SpanInput in(bytes);
    Output out;
    std::vector<std::string_view> names;
    while (!in.at_end().value()) {
      const auto message = decode_return_message(in);
      ASSERT_TRUE(message) << message.error().what();
      names.push_back(name_of(*message));
      encode_return_message(out, *message);
    }
    EXPECT_EQ(text_of(out.data()), text_of(bytes));
    EXPECT_EQ(names.back(), "SHUT");
  }
}

TEST(ReturnPath, EveryLengthIsChecked) {
  const auto error = [](std::string_view text) {
    SpanInput in(bytes_of(text));
    const auto result = decode_return_message(in);
    return result ? std::string() : result.error().what();
  };
  EXPECT_EQ(error("\0\0\0\0"sv), "return path: expected a message from 1 to 7 at offset 0x0, got 0");
  EXPECT_EQ(error("\0\1\2\1"sv), "return path: expected a length of at most 512 at offset 0x2, got 513");
  EXPECT_EQ(error("\0\1\0\5"sv), "return path message SHUT: expected a length of 4 at offset 0x2, got 5");
  EXPECT_EQ(error("\0\4\0\x0d"sv),
            "return path message REQ_PAGES: expected a length of 12 at offset 0x2, got 13");
  EXPECT_EQ(error("\0\3\0\x0ezzzzzzzzzzzz\2m0"sv),
            "return path message REQ_PAGES_ID: expected a length of 15 at offset 0x2, got 14");
  EXPECT_EQ(error("\0\5\0\2\2m0"sv),
            "return path message RECV_BITMAP: expected a length of 3 at offset 0x2, got 2");
}

TEST(ReturnPath, ReceivedBitmapOfTheSpecification) {
  std::vector<std::uint64_t> words(4096 / 64);
  words[0] = 0x7f;
  Output out;
  encode_received_bitmap(out, words, 4096);
  EXPECT_EQ(hex(out.data().first(10)), "00000000000002007f00");
  EXPECT_EQ(hex(out.data().last(8)), "0123456789abcdef");

  std::vector<std::uint64_t> decoded(words.size(), ~std::uint64_t{0});
  SpanInput in(out.data());
  ASSERT_TRUE(decode_received_bitmap(in, decoded, 4096));
  EXPECT_EQ(decoded, words);
}

TEST(ReturnPath, ReceivedBitmapHasNoBitsPastTheEnd) {
  std::vector<std::uint64_t> words(2, ~std::uint64_t{0});
  Output out;
  encode_received_bitmap(out, words, 65);
  EXPECT_EQ(hex(out.data()), "0000000000000010ffffffffffffffff01000000000000000123456789abcdef");
  std::vector<std::byte> bytes(out.data().begin(), out.data().end());
  bytes[23] = std::byte{0x80};  // a page that does not exist
  SpanInput in(bytes);
  ASSERT_TRUE(decode_received_bitmap(in, words, 65));
  EXPECT_EQ(words[1], 1u);
}

TEST(ReturnPath, ReceivedBitmapIsChecked) {
  std::vector<std::uint64_t> words(1);
  SpanInput size(bytes_of("\0\0\0\0\0\0\0\x10"sv));
  EXPECT_EQ(decode_received_bitmap(size, words, 10).error().what(),
            "received bitmap: expected 8 bytes for 10 pages at offset 0x0, got 16");
  SpanInput mark(bytes_of("\0\0\0\0\0\0\0\x08xxxxxxxxyyyyyyyy"sv));
  EXPECT_THAT(decode_received_bitmap(mark, words, 10).error().what(),
              HasSubstr("expected the end mark 0x0123456789abcdef"));
}

}  // namespace
}  // namespace godwit::wire
