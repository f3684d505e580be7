// What must hold for any input.
#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <string>
#include <string_view>
#include <vector>

#include "qmp/json_parser.h"
#include "qmp/json_printer.h"
#include "qmp/utf8.h"

namespace godwit::qmp {
namespace {

std::vector<std::string> parse_in_pieces(std::string_view text, const std::vector<std::size_t>& sizes) {
  JsonParser parser;
  std::vector<std::string> found;
  const auto collect = [&found](const JsonParser::Outcome& outcome) {
    found.push_back(outcome ? to_json_text(*outcome) : outcome.error().what());
  };
  for (std::size_t turn = 0; !text.empty(); ++turn) {
    const std::size_t size = sizes.empty() ? text.size() : sizes[turn % sizes.size()];
    const std::string piece(text.substr(0, size));
    text.remove_prefix(piece.size());
    std::string_view rest = piece;
    while (const auto outcome = parser.next(rest)) collect(*outcome);
  }
  if (const auto outcome = parser.finish()) collect(*outcome);
  return found;
}

/// Bytes that mean something to the lexer, so that most inputs get deep.
std::string any_input() {
  const auto fragment = rc::gen::elementOf(std::vector<std::string>{
      "{",     "}",     "[",        "]",    ":",    ",",        " ",     "\n",
      "\t",    "\"a\"", "'b'",      "\"c",  "1",    "-",        "0",     ".5",
      "e",     "E+3",   "true",     "nul",  "\\",   "\\n",      "\\u12", "\\ud83d\\ude00",
      "\"",    "'",     "\xC3\xA9", "\xFF", "\xFE", "\xE2\x82", "\x01",  "%",
      "\"k\":"});
  std::string text;
  for (const std::string& part : *rc::gen::container<std::vector<std::string>>(fragment)) text += part;
  return text;
}

std::string any_text() {
  std::string text;
  for (const auto point : *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::oneOf(
           rc::gen::inRange<std::uint32_t>(0, 0x80), rc::gen::inRange<std::uint32_t>(0, 0x110000))))
    if (is_unicode_character(point)) append_utf8(text, point);
  return text;
}

boost::json::value any_value(int depth) {
  switch (*rc::gen::inRange(0, depth > 0 ? 8 : 6)) {
    case 0:
      return nullptr;
    case 1:
      return *rc::gen::arbitrary<bool>();
    case 2:
      return *rc::gen::arbitrary<std::int64_t>();
    case 3:
      return *rc::gen::arbitrary<std::uint64_t>();
    case 4:
      return *rc::gen::arbitrary<std::int32_t>() + 0.1;  // an integral one reads back as an integer
    case 5:
      return boost::json::string(any_text());
    case 6: {
      boost::json::array array;
      for (int count = *rc::gen::inRange(0, 5); count > 0; --count) array.push_back(any_value(depth - 1));
      return array;
    }
    default: {
      boost::json::object object;
      for (int count = *rc::gen::inRange(0, 5); count > 0; --count) object[any_text()] = any_value(depth - 1);
      return object;
    }
  }
}

RC_GTEST_PROP(JsonProperty, AnySplitGivesTheSameOutcomes, ()) {
  const std::string text = any_input();
  const auto sizes =
      *rc::gen::nonEmpty(rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(1, 9)));
  RC_ASSERT(parse_in_pieces(text, sizes) == parse_in_pieces(text, {}));
}

RC_GTEST_PROP(JsonProperty, ResynchronisesFromAnywhere, ()) {
  const auto outcomes = parse_in_pieces(any_input() + "\xFF\n{\"a\": 1}", {});
  RC_ASSERT(outcomes.size() >= 2U);
  RC_ASSERT(outcomes.back() == "{\"a\": 1}");
}

RC_GTEST_PROP(JsonProperty, WhatIsPrintedReadsBackTheSame, ()) {
  const boost::json::value value = any_value(4);
  for (const JsonLayout layout : {JsonLayout::line, JsonLayout::pretty}) {
    const std::string text = to_json_text(value, layout);
    RC_ASSERT(std::ranges::all_of(
        text, [](char byte) { return byte == '\r' || byte == '\n' || (byte >= 0x20 && byte < 0x7F); }));
    JsonParser parser;
    const std::string ended = text + "\n";
    std::string_view rest = ended;
    const auto outcome = parser.next(rest);
    RC_ASSERT(outcome.has_value() && outcome->has_value());
    RC_ASSERT(to_json_text(**outcome, layout) == text);
    RC_ASSERT(**outcome == value);
  }
}

RC_GTEST_PROP(JsonProperty, AnyBytesPrintAsAscii, (const std::string& bytes)) {
  const std::string text = to_json_text(boost::json::string(bytes));
  RC_ASSERT(std::ranges::all_of(text, [](char byte) { return byte >= 0x20 && byte < 0x7F; }));
  RC_ASSERT(parse_in_pieces(text, {}) == std::vector<std::string>{text});
}

}  // namespace
}  // namespace godwit::qmp
