// The dialect, against what the reference answered, and against its own rules.
#include "qmp/json_parser.h"

#include <boost/json.hpp>
#include <chrono>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <vector>

#include "qmp/json_printer.h"

namespace godwit::qmp {
namespace {

/// Everything that comes out of `text`, given in pieces of `piece` bytes: values as text, errors as they are.
std::vector<std::string> outcomes(std::string_view text, JsonLimits limits = {},
                                  std::size_t piece = 1 << 20) {
  JsonParser parser(limits);
  std::vector<std::string> found;
  while (!text.empty()) {
    const std::string part(text.substr(0, piece));  // a copy: the parser must keep nothing of it
    std::string_view rest = part;
    while (const auto outcome = parser.next(rest))
      found.push_back(*outcome ? to_json_text(**outcome) : outcome->error().what());
    EXPECT_TRUE(rest.empty());
    text.remove_prefix(part.size());
  }
  return found;
}

std::string only(std::string_view text) {
  const auto found = outcomes(text);
  return found.size() == 1 ? found[0] : "not one outcome but " + std::to_string(found.size());
}

/// What the recorded reply says about one outcome.
void expect_recorded(const boost::json::object& recorded, const JsonParser::Outcome& ours,
                     const std::string& input) {
  if (const auto* error = recorded.if_contains("error")) {
    ASSERT_FALSE(ours) << input;
    EXPECT_EQ(to_json_text(boost::json::string(ours.error().what())), to_json_text(*error)) << input;
    return;
  }
  ASSERT_TRUE(ours) << input << ": " << ours.error().what();
  EXPECT_EQ(ours->is_object(), !recorded.contains("scalar")) << input;
  if (const auto* id = recorded.if_contains("id")) {
    EXPECT_EQ(to_json_text(ours->at("id")), id->as_string()) << input;
  }
}

/// Files hold bytes as the code points 0 to 255.
std::string bytes_of(std::string_view latin1) {
  std::string bytes;
  for (std::size_t at = 0; at < latin1.size(); ++at) {
    const auto lead = static_cast<unsigned char>(latin1[at]);
    if (lead < 0x80)
      bytes += latin1[at];
    else
      bytes += static_cast<char>(((lead & 3) << 6) | (static_cast<unsigned char>(latin1[++at]) & 0x3F));
  }
  return bytes;
}

TEST(JsonParser, AnswersAsTheReferenceDidToHundredsOfInputs) {
  std::ifstream file(GODWIT_TEST_DATA "/qmp/parser-cases.jsonl");
  std::size_t cases = 0;
  for (std::string line; std::getline(file, line); ++cases) {
    const auto recorded = boost::json::parse(line).as_object();
    const std::string input = bytes_of(recorded.at("in").as_string());
    JsonParser parser;
    std::string_view rest = input;
    for (const auto& expected : recorded.at("out").as_array()) {
      const auto ours = parser.next(rest);
      ASSERT_TRUE(ours) << line;
      expect_recorded(expected.as_object(), *ours, line);
    }
    EXPECT_FALSE(parser.next(rest)) << line;
  }
  EXPECT_GT(cases, 600U);
}

TEST(JsonParser, NeedsNoNewlineAndNoSpaces) {
  EXPECT_EQ(outcomes("{}[]\"a\"1 true{}"),
            (std::vector<std::string>{"{}", "[]", "\"a\"", "1", "true", "{}"}));
  EXPECT_EQ(only("{'execute':'it\\'s \"quoted\"'}"), R"({"execute": "it's \"quoted\""})");
}

TEST(JsonParser, HoldsAScalarUntilSomethingEndsIt) {
  JsonParser parser;
  std::string_view first = "12";
  EXPECT_FALSE(parser.next(first));
  std::string_view second = "34}";
  const auto number = parser.next(second);
  ASSERT_TRUE(number && *number);
  EXPECT_EQ((*number)->as_int64(), 1234);
  EXPECT_EQ(second, "}");
}

TEST(JsonParser, NumbersKeepTheirKind) {
  EXPECT_EQ(only("[0,-0,-9223372036854775808,9223372036854775807]"),
            "[0, 0, -9223372036854775808, 9223372036854775807]");
  EXPECT_EQ(only("[18446744073709551615]"), "[18446744073709551615]");
  EXPECT_EQ(only("[12345678901234567890123]"), "[1.2345678901234568e+22]");
  EXPECT_EQ(only("[-0.5e3,0.1,1.0,0e5]"), "[-500, 0.10000000000000001, 1, 0]");
}

TEST(JsonParser, ErrorsOfABalancedValueComeOnceAndAtItsEnd) {
  JsonParser parser;
  std::string_view front = R"({"a" 1, "b": [tru)";
  EXPECT_FALSE(parser.next(front));
  std::string_view back = R"(], "c" "d"} {})";
  const auto failed = parser.next(back);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error().what(), "JSON parse error, missing : in object pair");
  EXPECT_EQ(back, " {}");
}

TEST(JsonParser, ResynchronisesAfterByteFF) {
  const std::string spoilt = "[[[{\"never\": \"ending";
  EXPECT_EQ(outcomes(spoilt + "\xFF\n{}"),
            (std::vector<std::string>{"JSON parse error, stray '\"ending\xFF'", "{}"}));
}

TEST(JsonParser, EndOfInput) {
  const auto finished = [](std::string_view text) {
    JsonParser parser;
    EXPECT_FALSE(parser.next(text));
    const auto outcome = parser.finish();
    EXPECT_TRUE(parser.idle());
    if (!outcome) return std::string("nothing");
    return *outcome ? to_json_text(**outcome) : outcome->error().what();
  };
  EXPECT_EQ(finished(" \n"), "nothing");
  EXPECT_EQ(finished("12"), "12");
  EXPECT_EQ(finished("null"), "null");
  EXPECT_EQ(finished("[1,"), "JSON parse error, premature EOI");
  EXPECT_EQ(finished("{\"a"), "JSON parse error, stray '\"a'");
}

// ---- limits
// -----------------------------------------------------------------------------------------------------

TEST(JsonParser, NestingLimit) {
  EXPECT_EQ(only(std::string(1024, '[') + std::string(1024, ']')).size(), 2048U);
  EXPECT_EQ(only(std::string(1025, '[')), "JSON nesting depth limit exceeded");
  EXPECT_EQ(
      outcomes(std::string(1025, '[') + "]"),
      (std::vector<std::string>{"JSON nesting depth limit exceeded", "JSON parse error, expecting value"}));
  std::string mixed;
  for (int level = 0; level < 512; ++level) mixed += "{\"a\":[";
  EXPECT_TRUE(outcomes(mixed).empty());
  EXPECT_EQ(only(mixed + "["), "JSON nesting depth limit exceeded");
}

TEST(JsonParser, TokenLimit) {
  const JsonLimits limits{.text_bytes = 1 << 20, .tokens = 7, .nesting = 10};
  EXPECT_EQ(outcomes("[1,2,3]", limits), std::vector<std::string>{"[1, 2, 3]"});
  EXPECT_EQ(outcomes("[1,2,3 ,4]", limits), (std::vector<std::string>{"JSON token count limit exceeded",
                                                                      "JSON parse error, expecting value"}));
}

TEST(JsonParser, TextLimitOfOneValue) {
  const JsonLimits limits{.text_bytes = 16, .tokens = 100, .nesting = 10};
  EXPECT_EQ(outcomes("['aaaa', 'bbbb']", limits), std::vector<std::string>{R"(["aaaa", "bbbb"])"});
  EXPECT_EQ(outcomes("['aaaa', 'bbbbb']", limits),
            (std::vector<std::string>{"JSON token size limit exceeded"}));
}

TEST(JsonParser, TextLimitOfOneToken) {
  const JsonLimits limits{.text_bytes = 16, .tokens = 100, .nesting = 10};
  // The quote and sixteen more bytes are dropped; lexing starts afresh in the middle.
  EXPECT_EQ(
      outcomes("\"" + std::string(16, 'x') + "yyyyy\"}\n", limits),
      (std::vector<std::string>{"JSON token size limit exceeded", "JSON parse error, invalid keyword 'yyyyy'",
                                "JSON parse error, stray '\"}\n'"}));
}

TEST(JsonParser, TakesTheLargestTokenInGoodTime) {
  const auto start = std::chrono::steady_clock::now();
  const std::string large(60 * 1024 * 1024, 'x');
  EXPECT_EQ(outcomes("{\"id\":\"" + large + "\"}", {}, 64 * 1024)[0].size(), large.size() + 10);
  std::string many = "[0";
  for (int element = 1; element < 1'000'000; ++element) many += ",0";
  EXPECT_EQ(outcomes(many + "]", {}, 64 * 1024)[0].size(), 3'000'000U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace godwit::qmp
