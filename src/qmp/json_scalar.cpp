#include "qmp/json_scalar.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <fmt/format.h>
#include <optional>
#include <string>

#include "qmp/utf8.h"

namespace godwit::qmp {
namespace {

constexpr std::size_t escape_digits = 4;                  // of \uXXXX
constexpr std::size_t escape_length = 2 + escape_digits;  // with \u

std::unexpected<Error> bad(std::string_view what) {
  return fail(json_error(what));
}

/// The value of "\uXXXX" at the front of `text`.
std::optional<std::uint32_t> unicode_escape(std::string_view text) {
  if (text.size() < escape_length || !text.starts_with("\\u")) return std::nullopt;
  std::uint32_t value = 0;
  const char* const end = text.data() + escape_length;
  const auto [stop, error] = std::from_chars(text.data() + 2, end, value, 16);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::optional<char> short_escape(char letter) {
  switch (letter) {
    case '"':
    case '\'':
    case '\\':
    case '/':
      return letter;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return std::nullopt;
  }
}

/// Resolves the inside of a string, front to back.
class StringDecoder {
 public:
  /// `body` is followed in memory by the closing quote, which error texts show.
  explicit StringDecoder(std::string_view body) : rest_(body) { out_.reserve(body.size()); }

  Result<boost::json::string> decode() {
    while (!rest_.empty()) {
      if (rest_[0] == '\\')
        GODWIT_TRY(rest_[1] == 'u' ? unicode() : simple());
      else
        GODWIT_TRY(plain());
    }
    return boost::json::string(out_);
  }

 private:
  Result<> plain() {
    const auto special = [](char byte) { return byte == '\\' || static_cast<unsigned char>(byte) >= 0x80; };
    const auto run = static_cast<std::size_t>(std::ranges::find_if(rest_, special) - rest_.begin());
    take(run);
    if (rest_.empty() || rest_[0] == '\\') return {};
    const CodePoint point = decode_utf8(rest_);
    if (!point.valid) return bad("invalid UTF-8 sequence in string");
    if (point.value == 0)
      out_ += '\0';
    else
      out_ += rest_.substr(0, point.length);
    rest_.remove_prefix(point.length);
    return {};
  }

  Result<> simple() {
    const auto value = short_escape(rest_[1]);
    if (!value) return bad("invalid escape sequence in string");
    out_ += *value;
    rest_.remove_prefix(2);
    return {};
  }

  Result<> unicode() {
    std::size_t length = escape_length;
    auto value = unicode_escape(rest_);
    if (value && *value >= 0xD800 && *value <= 0xDBFF) {
      const auto low = unicode_escape(rest_.substr(escape_length));
      if (low && *low >= 0xDC00 && *low <= 0xDFFF) {
        value = 0x10000 + ((*value & 0x3FF) << 10) + (*low & 0x3FF);
        length = 2 * escape_length;
      }
    }
    if (!value || !is_unicode_character(*value)) {
      const std::string_view with_quote(rest_.data(), rest_.size() + 1);
      return bad(fmt::format("{} is not a valid Unicode character", with_quote.substr(0, length)));
    }
    append_utf8(out_, *value);
    rest_.remove_prefix(length);
    return {};
  }

  void take(std::size_t count) {
    out_ += rest_.substr(0, count);
    rest_.remove_prefix(count);
  }

  std::string_view rest_;
  std::string out_;
};

/// As strtod: infinity where a double ends, zero where it is too small.
double parse_double(std::string_view token) {
  double value = 0;
  const auto [stop, error] = std::from_chars(token.data(), token.data() + token.size(), value);
  if (error == std::errc::result_out_of_range) value = std::strtod(std::string(token).c_str(), nullptr);
  return value;
}

}  // namespace

Error json_error(std::string_view what) {
  constexpr std::size_t room = 1023;
  return Error(fmt::format("JSON parse error, {}", what.substr(0, room)));
}

Result<boost::json::string> parse_string_token(std::string_view token) {
  const std::string_view body = token.substr(1, token.size() - 2);
  const auto plain = [](char byte) { return byte != '\\' && static_cast<unsigned char>(byte) < 0x80; };
  if (std::ranges::all_of(body, plain)) return boost::json::string(body);
  return StringDecoder(body).decode();
}

boost::json::value parse_number_token(std::string_view token) {
  const auto parse_as = [token]<typename Integer>(Integer value) -> std::optional<boost::json::value> {
    const auto [stop, error] = std::from_chars(token.data(), token.data() + token.size(), value);
    if (error != std::errc() || stop != token.data() + token.size()) return std::nullopt;
    return value;
  };
  if (const auto value = parse_as(std::int64_t{})) return *value;
  if (const auto value = parse_as(std::uint64_t{})) return *value;
  return parse_double(token);
}

Result<boost::json::value> parse_keyword_token(std::string_view token) {
  if (token == "true") return boost::json::value(true);
  if (token == "false") return boost::json::value(false);
  if (token == "null") return boost::json::value(nullptr);
  return bad(fmt::format("invalid keyword '{}'", token));
}

}  // namespace godwit::qmp
