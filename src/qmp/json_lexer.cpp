#include "qmp/json_lexer.h"

#include <algorithm>
#include <array>
#include <optional>

namespace godwit::qmp {
namespace {

constexpr bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}
constexpr bool is_space(char byte) {
  return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/// Bytes that can neither stand in a string nor be skipped over after an error.
constexpr bool is_forbidden(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return value < 0x20 || value >= 0xFE;
}

constexpr std::optional<JsonToken::Kind> structural(char byte) {
  switch (byte) {
    case '{':
      return JsonToken::Kind::left_brace;
    case '}':
      return JsonToken::Kind::right_brace;
    case '[':
      return JsonToken::Kind::left_bracket;
    case ']':
      return JsonToken::Kind::right_bracket;
    case ':':
      return JsonToken::Kind::colon;
    case ',':
      return JsonToken::Kind::comma;
    default:
      return std::nullopt;
  }
}

/// One flag per byte: true where the inside of a string needs a look.
constexpr auto ends_plain_run = [] {
  std::array<bool, 256> table{};
  for (std::size_t value = 0; value < table.size(); ++value) {
    const auto byte = static_cast<char>(value);
    table[value] = is_forbidden(byte) || byte == '"' || byte == '\'' || byte == '\\';
  }
  return table;
}();

}  // namespace

JsonToken JsonLexer::next(std::string_view& bytes) {
  if (state_ == State::skipping) skip_to_restart(bytes);
  if (state_ == State::skipping) return {};
  if (state_ == State::between) {
    while (!bytes.empty() && is_space(bytes.front())) bytes.remove_prefix(1);
    if (bytes.empty()) return {};
    forget_held();
    return begin(bytes);
  }
  return go_on(bytes);
}

void JsonLexer::forget_held() {
  constexpr std::size_t worth_keeping = 64 * 1024;
  if (held_.capacity() > worth_keeping)
    held_ = {};
  else
    held_.clear();
}

JsonToken JsonLexer::begin(std::string_view& bytes) {
  const char first = bytes.front();
  if (const auto kind = structural(first)) {
    const JsonToken token{*kind, bytes.substr(0, 1)};
    bytes.remove_prefix(1);
    return token;
  }
  if (first == '"' || first == '\'') {
    state_ = State::in_string;
    quote_ = first;
  } else if (first == '-') {
    state_ = State::minus;
  } else if (first == '0') {
    state_ = State::leading_zero;
  } else if (is_digit(first)) {
    state_ = State::integer;
  } else if (first >= 'a' && first <= 'z') {
    state_ = State::keyword;
  } else {
    const JsonToken stray{JsonToken::Kind::stray, bytes.substr(0, 1)};
    bytes.remove_prefix(1);
    state_ = State::skipping;
    return stray;
  }
  return go_on(bytes);
}

JsonToken JsonLexer::go_on(std::string_view& bytes) {
  // At a token's first byte, which begin() has classified, held_ is empty and the byte still in front.
  const std::size_t room = limits_.text_bytes + 1 - held_.size();
  const std::string_view window = bytes.substr(0, room);
  std::size_t at = held_.empty() ? 1 : 0;
  const Step outcome = scan(window, at);

  std::string_view text = window.substr(0, at);
  bytes.remove_prefix(at);
  if (outcome == Step::more && window.size() < room) {
    held_.append(text);
    return {};
  }
  if (held_.size() + text.size() > limits_.text_bytes && outcome != Step::error) {
    state_ = State::between;
    held_ = {};
    return {JsonToken::Kind::too_long, {}};
  }
  if (!held_.empty()) text = held_.append(text);
  const JsonToken::Kind kind = outcome == Step::error ? JsonToken::Kind::stray : kind_of_state();
  state_ = outcome == Step::error ? State::skipping : State::between;
  return {kind, text};
}

JsonLexer::Step JsonLexer::scan(std::string_view window, std::size_t& at) {
  while (at < window.size()) {
    if (state_ == State::in_string)
      while (!ends_plain_run[static_cast<unsigned char>(window[at])])
        if (++at == window.size()) return Step::more;
    const Step outcome = step(window[at]);
    if (outcome == Step::complete_before) return outcome;
    ++at;
    if (outcome != Step::more) return outcome;
  }
  return Step::more;
}

JsonLexer::Step JsonLexer::step(char byte) {
  switch (state_) {
    case State::in_string:
      if (is_forbidden(byte)) return Step::error;
      if (byte == quote_) return Step::complete;
      if (byte == '\\') state_ = State::escape;
      return Step::more;
    case State::escape:
      if (is_forbidden(byte)) return Step::error;
      state_ = State::in_string;
      return Step::more;
    case State::keyword:
      return byte >= 'a' && byte <= 'z' ? Step::more : Step::complete_before;
    default:
      return number_step(byte);
  }
}

JsonLexer::Step JsonLexer::number_step(char byte) {
  const auto go = [this](State state) {
    state_ = state;
    return Step::more;
  };
  const bool digit = is_digit(byte);
  switch (state_) {
    case State::minus:
      if (!digit) return Step::error;
      return go(byte == '0' ? State::leading_zero : State::integer);
    case State::leading_zero:
      if (digit) return Step::error;
      break;
    case State::integer:
    case State::fraction:
    case State::exponent_digits:
      if (digit) return Step::more;
      break;
    case State::point:
      return digit ? go(State::fraction) : Step::error;
    case State::exponent:
      if (byte == '+' || byte == '-') return go(State::exponent_sign);
      [[fallthrough]];
    case State::exponent_sign:
      return digit ? go(State::exponent_digits) : Step::error;
    default:
      return Step::error;
  }
  if (byte == '.' && (state_ == State::leading_zero || state_ == State::integer)) return go(State::point);
  if ((byte == 'e' || byte == 'E') && state_ != State::exponent_digits) return go(State::exponent);
  return Step::complete_before;
}

void JsonLexer::skip_to_restart(std::string_view& bytes) {
  const auto restarts = [](char byte) { return structural(byte) || (is_forbidden(byte) && byte != '\t'); };
  const auto found = std::ranges::find_if(bytes, restarts);
  bytes.remove_prefix(static_cast<std::size_t>(found - bytes.begin()));
  if (!bytes.empty()) state_ = State::between;
}

JsonToken::Kind JsonLexer::kind_of_state() const {
  switch (state_) {
    case State::in_string:
      return JsonToken::Kind::string;
    case State::keyword:
      return JsonToken::Kind::keyword;
    default:
      return JsonToken::Kind::number;
  }
}

JsonToken JsonLexer::finish() {
  if (!in_token()) return {};
  // A byte that can continue nothing ends a token as the end of input does; it is no part of a complete one.
  const Step outcome = step('\n');
  const JsonToken::Kind kind = outcome == Step::complete_before ? kind_of_state() : JsonToken::Kind::stray;
  state_ = State::between;
  return {kind, held_};
}

}  // namespace godwit::qmp
