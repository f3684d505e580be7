#include "vm/process/hmp_arguments.h"

#include <gtest/gtest.h>

namespace godwit::vm {
namespace {

std::string parse(std::string_view syntax, std::string_view text, HumanArguments* into = nullptr) {
  const auto parsed = parse_human_arguments("name", syntax, text, DumpFormat{});
  if (!parsed) return parsed.error().what();
  if (into) *into = *parsed;
  return "";
}

std::string evaluate(std::string_view text) {
  const auto value = take_expression(text);
  return value ? std::to_string(*value) + (text.empty() ? "" : " rest " + std::string(text))
               : value.error().what();
}

TEST(HumanArguments, Words) {
  HumanArguments got;
  EXPECT_EQ(parse("s s?", "  one  ", &got), "");
  EXPECT_EQ(got.words, std::vector<std::string>{"one"});
  EXPECT_EQ(parse("s s?", R"("a b\"\n" two)", &got), "");
  EXPECT_EQ(got.words, (std::vector<std::string>{"a b\"\n", "two"}));
  EXPECT_EQ(parse("s", R"("")", &got), "");
  EXPECT_EQ(got.words, std::vector<std::string>{""});
  EXPECT_EQ(parse("s? s?", "", &got), "");
  EXPECT_TRUE(got.words.empty());
  EXPECT_EQ(parse("l l?", "1", &got), "");
  EXPECT_EQ(got.numbers, std::vector<std::uint64_t>{1});
  EXPECT_EQ(parse("s", ""), "name: string expected");
  EXPECT_EQ(parse("s", "\"open"), "name: string expected");
  EXPECT_EQ(parse("s", R"("\x")"), "name: string expected");
  EXPECT_EQ(parse("s", "one two"), "name: extraneous characters at the end of line");
  EXPECT_EQ(parse("", "x"), "name: extraneous characters at the end of line");
}

TEST(HumanArguments, Flags) {
  HumanArguments got;
  EXPECT_EQ(parse("-d -b -i -r s", "-d -i tcp:h:1", &got), "");
  EXPECT_EQ(got.flags, "di");
  EXPECT_TRUE(got.has('i') && !got.has('b'));
  EXPECT_EQ(parse("-d -b -i -r s", "-z x"), "name: unsupported option -z");
  EXPECT_EQ(parse("-d -b -i -r s", "-d -d x"), "name: unsupported option -d");
  EXPECT_EQ(parse("-d -b -i -r s", "- x"), "name: unsupported option - ");
  EXPECT_EQ(parse("-d -b -i -r s", "-"), "name: unsupported option - ");
  EXPECT_EQ(parse("-d -b -i -r s", "-d"), "name: string expected");
  EXPECT_EQ(parse("-d -b -i -r s", "-dx tcp:1"), "name: extraneous characters at the end of line");
}

TEST(HumanArguments, OnOrOff) {
  HumanArguments got;
  EXPECT_EQ(parse("s b", "x on ", &got), "");
  EXPECT_TRUE(got.on);
  EXPECT_EQ(parse("s b", "x off", &got), "");
  EXPECT_FALSE(got.on);
  for (const auto* text : {"x", "x maybe", "x onx"}) EXPECT_EQ(parse("s b", text), "Expected 'on' or 'off'");
}

TEST(HumanArguments, Formats) {
  HumanArguments got;
  EXPECT_EQ(parse("/ l", "/16cb 8", &got), "");
  EXPECT_EQ(got.format.count, 16U);
  EXPECT_EQ(got.format.letter, 'c');
  EXPECT_EQ(got.format.size, 1U);
  EXPECT_EQ(parse("/ l", "/g 8", &got), "");
  EXPECT_EQ(got.format.count, 1U);
  EXPECT_EQ(got.format.letter, 'x');
  EXPECT_EQ(got.format.size, 8U);
  EXPECT_EQ(got.numbers, std::vector<std::uint64_t>{8});
  EXPECT_EQ(parse("/ l", "/s 0"), "invalid char in format: 's'");
  EXPECT_EQ(parse("/ l", "/-1x 0"), "invalid char in format: '-'");
  EXPECT_EQ(parse("/ l", "/99999999999999999999x 0"), "the count is too large: 65536 at most");
  EXPECT_EQ(parse("/ l", "/4xw"), "unexpected end of expression");
  EXPECT_EQ(parse("/ l", "1 2"), "name: extraneous characters at the end of line");
}

TEST(HumanExpressions, Values) {
  EXPECT_EQ(evaluate("1+2|4"), "7");
  EXPECT_EQ(evaluate("1|2+4"), "7");
  EXPECT_EQ(evaluate("1+2*4"), "9");
  EXPECT_EQ(evaluate("2|4&1"), "0");
  EXPECT_EQ(evaluate("1-2-3"), "18446744073709551612");
  EXPECT_EQ(evaluate("8/2/2"), "2");
  EXPECT_EQ(evaluate("~1+1"), "18446744073709551615");
  EXPECT_EQ(evaluate(" ( 0 + 8 ) * 2 "), "16");
  EXPECT_EQ(evaluate("5%3*2"), "4");
  EXPECT_EQ(evaluate("010"), "8");
  EXPECT_EQ(evaluate("0X1f"), "31");
  EXPECT_EQ(evaluate("'a'"), "97");
  EXPECT_EQ(evaluate("8 +8"), "16");
}

TEST(HumanExpressions, Errors) {
  EXPECT_EQ(evaluate(""), "unexpected end of expression");
  EXPECT_EQ(evaluate("1+"), "unexpected end of expression");
  EXPECT_EQ(evaluate("abc"), "invalid char 'a' in expression");
  EXPECT_EQ(evaluate("1**2"), "invalid char '*' in expression");
  EXPECT_EQ(evaluate("()"), "invalid char ')' in expression");
  EXPECT_EQ(evaluate("(8"), "')' expected");
  EXPECT_EQ(evaluate("10/0"), "division by zero");
  EXPECT_EQ(evaluate("1%0"), "division by zero");
  EXPECT_EQ(evaluate("18446744073709551616"), "number too large");
  EXPECT_EQ(evaluate("$eip"), "unknown register");
  EXPECT_EQ(evaluate("'ab'"), "missing terminating ' character");
  EXPECT_EQ(evaluate("'"), "character constant expected");
  EXPECT_EQ(evaluate("0x"), "0 rest x");
  EXPECT_EQ(evaluate("09"), "0 rest 9");
  EXPECT_EQ(evaluate(std::string(100'000, '(')), "the expression is nested too deep");
  EXPECT_EQ(evaluate(std::string(100'000, '-')), "the expression is nested too deep");
}

}  // namespace
}  // namespace godwit::vm
