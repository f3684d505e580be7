#include "qmp/json_printer.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <limits>

namespace godwit::qmp {
namespace {

using namespace std::string_literals;

TEST(JsonPrinter, WritesAsciiOnly) {
  EXPECT_EQ(
      to_json_text(boost::json::string("a\0b\x7F\xC2\x80/\"\\\b\f\n\r\t\x1F\xF0\x9F\x98\x80 \xC3\xA9"s)),
      R"("a\u0000b\u007F\u0080/\"\\\b\f\n\r\t\u001F\uD83D\uDE00 \u00E9")");
}

TEST(JsonPrinter, ShowsEachInvalidSequenceAsOneReplacementCharacter) {
  EXPECT_EQ(to_json_text(boost::json::string("\xE2\x82\xFF")), R"("\uFFFD\uFFFD")");
  EXPECT_EQ(to_json_text(boost::json::string("\xE2\x82")), R"("\uFFFD")");
  EXPECT_EQ(to_json_text(boost::json::string("\x80\x80")), R"("\uFFFD\uFFFD")");
  EXPECT_EQ(to_json_text(boost::json::string("\xED\xA0\x80 \xF8\x88\x80\x80\x80")), R"("\uFFFD \uFFFD")");
}

TEST(JsonPrinter, Numbers) {
  const auto text = [](boost::json::value value) { return to_json_text(value); };
  EXPECT_EQ(text(0.1), "0.10000000000000001");
  EXPECT_EQ(text(1.0), "1");
  EXPECT_EQ(text(-0.0), "-0");
  EXPECT_EQ(text(1e16), "10000000000000000");
  EXPECT_EQ(text(1e17), "1e+17");
  EXPECT_EQ(text(1.5e-7), "1.4999999999999999e-07");
  EXPECT_EQ(text(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
  EXPECT_EQ(text(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(text(std::numeric_limits<double>::infinity()), "1e999");
}

TEST(JsonPrinter, Layouts) {
  const boost::json::value value = {
      {"a", {1, true, nullptr}}, {"b", boost::json::object()}, {"c", boost::json::array()}};
  EXPECT_EQ(to_json_text(value), R"({"a": [1, true, null], "b": {}, "c": []})");
  EXPECT_EQ(to_json_text(value, JsonLayout::pretty),
            "{\r\n    \"a\": [\r\n        1,\r\n        true,\r\n        null\r\n    ],\r\n    \"b\": {\r\n  "
            "  },\r\n"
            "    \"c\": [\r\n    ]\r\n}");
}

}  // namespace
}  // namespace godwit::qmp
