#include "qmp/json_parser.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <utility>

#include "base/fail.h"
#include "qmp/json_scalar.h"

namespace godwit::qmp {

using Kind = JsonToken::Kind;

namespace {

std::unexpected<Error> bad(std::string_view what) {
  return fail(json_error(what));
}

/// The text of a lexical error. It ends at a NUL, and may be invalid UTF-8: the printer replaces it.
Error stray_error(std::string_view text) {
  return Error(fmt::format("JSON parse error, stray '{}'", text.substr(0, text.find('\0'))));
}

}  // namespace

std::optional<JsonParser::Outcome> JsonParser::next(std::string_view& bytes) {
  for (;;) {
    const JsonToken token = lexer_.next(bytes);
    if (token.kind == Kind::none) return std::nullopt;
    if (auto outcome = take(token)) return outcome;
  }
}

std::optional<JsonParser::Outcome> JsonParser::finish() {
  const JsonToken token = lexer_.finish();
  if (token.kind != Kind::none)
    if (auto outcome = take(token)) return outcome;
  if (idle()) return std::nullopt;
  if (!failure_) failure_ = json_error("premature EOI");
  return settle();
}

std::optional<JsonParser::Outcome> JsonParser::take(const JsonToken& token) {
  if (token.kind == Kind::stray) {
    start_afresh();
    return fail(stray_error(token.text));
  }
  if (auto counted = count(token); !counted) {
    start_afresh();
    return fail(std::move(counted).error());
  }
  if (!failure_)
    if (auto parsed = parse(token); !parsed) {
      failure_ = std::move(parsed).error();
      frames_.clear();
      value_.reset();
    }
  if (!balance_.settled()) return std::nullopt;
  return settle();
}

Result<> JsonParser::count(const JsonToken& token) {
  switch (token.kind) {
    case Kind::left_brace:
      ++balance_.braces;
      break;
    case Kind::right_brace:
      --balance_.braces;
      break;
    case Kind::left_bracket:
      ++balance_.brackets;
      break;
    case Kind::right_bracket:
      --balance_.brackets;
      break;
    default:
      break;
  }
  ++balance_.tokens;
  balance_.text_bytes += token.text.size();
  if (token.kind == Kind::too_long || balance_.text_bytes >= limits_.text_bytes)
    return fail("JSON token size limit exceeded");
  if (balance_.tokens > limits_.tokens) return fail("JSON token count limit exceeded");
  if (balance_.depth() > static_cast<std::ptrdiff_t>(limits_.nesting))
    return fail("JSON nesting depth limit exceeded");
  return {};
}

Result<> JsonParser::parse(const JsonToken& token) {
  return frames_.empty() ? begin_value(token) : parse_in(frames_.back(), token);
}

Result<> JsonParser::parse_in(Frame& frame, const JsonToken& token) {
  switch (frame.expect) {
    case Expect::first_key:
      if (token.kind == Kind::right_brace) return end_container();
      return begin_value(token);
    case Expect::first_element:
      if (token.kind == Kind::right_bracket) return end_container();
      return begin_value(token);
    case Expect::key:
    case Expect::member:
    case Expect::element:
      return begin_value(token);
    case Expect::colon:
      if (token.kind != Kind::colon) return bad("missing : in object pair");
      frame.expect = Expect::member;
      return {};
    case Expect::after_member:
      if (token.kind == Kind::right_brace) return end_container();
      if (token.kind != Kind::comma) return bad("expected separator in dict");
      frame.expect = Expect::key;
      return {};
    case Expect::after_element:
      if (token.kind == Kind::right_bracket) return end_container();
      if (token.kind != Kind::comma) return bad("expected separator in list");
      frame.expect = Expect::element;
      return {};
  }
  return {};
}

Result<> JsonParser::begin_value(const JsonToken& token) {
  switch (token.kind) {
    case Kind::left_brace:
      frames_.push_back({Expect::first_key, {}, boost::json::object()});
      return {};
    case Kind::left_bracket:
      frames_.push_back({Expect::first_element, {}, boost::json::array()});
      return {};
    case Kind::string: {
      GODWIT_ASSIGN(auto text, parse_string_token(token.text));
      return end_value(std::move(text));
    }
    case Kind::number:
      return end_value(parse_number_token(token.text));
    case Kind::keyword: {
      GODWIT_ASSIGN(auto value, parse_keyword_token(token.text));
      return end_value(std::move(value));
    }
    default:
      return bad("expecting value");
  }
}

Result<> JsonParser::end_value(boost::json::value&& value) {
  if (frames_.empty()) {
    value_ = std::move(value);
    return {};
  }
  Frame& frame = frames_.back();
  switch (frame.expect) {
    case Expect::first_key:
    case Expect::key:
      if (!value.is_string()) return bad("key is not a string in object");
      frame.key = std::move(value.as_string());
      frame.expect = Expect::colon;
      return {};
    case Expect::member:
      if (!frame.container.as_object().emplace(frame.key, std::move(value)).second)
        return bad("duplicate key");
      frame.expect = Expect::after_member;
      return {};
    default:
      frame.container.as_array().push_back(std::move(value));
      frame.expect = Expect::after_element;
      return {};
  }
}

Result<> JsonParser::end_container() {
  boost::json::value container = std::move(frames_.back().container);
  frames_.pop_back();
  return end_value(std::move(container));
}

JsonParser::Outcome JsonParser::settle() {
  auto failure = std::exchange(failure_, std::nullopt);
  auto value = std::exchange(value_, std::nullopt);
  start_afresh();
  if (failure) return fail(*std::move(failure));
  if (!value) return bad("premature EOI");
  return *std::move(value);
}

void JsonParser::start_afresh() {
  balance_ = {};
  frames_.clear();
  value_.reset();
  failure_.reset();
}

}  // namespace godwit::qmp
