#include "cli/inspect/values_text.h"

#include <gtest/gtest.h>

#include "wire/test_stream.h"

namespace godwit::cli::inspect {
namespace {

using namespace std::literals;

std::string text_of(std::string_view type, std::uint64_t size, std::uint64_t count, std::string_view body) {
  const wire::NamedField field{"f", std::string(type), 0, size, count};
  return value_text(field, wire::decode_field(field, wire::test::bytes_of(body)));
}

TEST(ValueText, IsShort) {
  EXPECT_EQ(text_of("uint16", 2, 1, "\x0f\xff"sv), "4095");
  EXPECT_EQ(text_of("uint16", 2, 1, "\x10\0"sv), "0x1000");
  EXPECT_EQ(text_of("int8", 1, 1, "\xff"sv), "-1");
  EXPECT_EQ(text_of("bool", 1, 1, "\1"sv), "on");
  EXPECT_EQ(text_of("timer", 8, 1, std::string(8, '\xff')), "not armed");
  EXPECT_EQ(text_of("timer", 8, 1, "\0\0\0\0\0\0\x10\0"sv), "4096 ns");
  EXPECT_EQ(text_of("uint16", 2, 3, "\0\1\0\2\0\3"sv), "[1, 2, 3]");
  EXPECT_EQ(text_of("uint16", 2, 9, std::string(18, '\0')), "[0, 0, 0, 0, 0, 0, 0, 0, … 9 in all]");
  EXPECT_EQ(text_of("buffer", 10, 1, "running\0\0\0"sv), "\"running\"");
  EXPECT_EQ(text_of("buffer", 3, 1, "\1\2\3"sv), "010203");
  EXPECT_EQ(text_of("buffer", 40, 1, std::string(40, '\x11')),
            "11111111111111111111111111111111… (40 bytes)");
  EXPECT_EQ(text_of("buffer", 40, 1, std::string(30, '\0') + std::string(10, '\x11')),
            "(30 zeros) 11111111111111111111… (40 bytes)");
}

TEST(SafeText, LetsNoTerminalSequenceThrough) {
  EXPECT_EQ(safe_text("pc.ram"), "pc.ram");
  EXPECT_EQ(safe_text("a\x1b[31m\n\\"), "a\\x1b[31m\\x0a\\x5c");
}

TEST(UuidText, HasItsDashes) {
  const std::array<std::uint8_t, 16> uuid{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
                                          0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
  EXPECT_EQ(uuid_text(uuid), "12345678-9abc-def0-1122-334455667788");
}

}  // namespace
}  // namespace godwit::cli::inspect
