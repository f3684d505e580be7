// One value of an argument, by the type the schema gives it.
#include <algorithm>
#include <charconv>
#include <optional>

#include "base/fail.h"
#include "cli/qmp/argument_parser.h"
#include "cli/qmp/words.h"

namespace godwit::cli::qmp {

namespace json = boost::json;

namespace {

using Kind = Type::Kind;

json::value text_value(std::string_view text) {
  return json::string(text.data(), text.size());
}

Result<json::value> parse_json(std::string_view text, std::string_view key) {
  json::error_code error;
  auto value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return fail("'{}' is not JSON: {}", key, error.message());
  return value;
}

std::unexpected<Error> mismatch(std::string_view key, const Type& type, std::string_view text) {
  constexpr std::size_t most = 60;
  const auto shown = text.size() > most ? std::string(text.substr(0, most)) + "..." : std::string(text);
  return fail("'{}' takes {}, not '{}'", key, describe(type), shown);
}

std::optional<int> binary_suffix(char c) {
  constexpr std::string_view suffixes = "KMGTPE";
  const auto at = suffixes.find(static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c));
  if (at == suffixes.npos) return std::nullopt;
  return static_cast<int>(10 * (at + 1));
}

/// Decimal or 0x, with a sign, and for sizes with K, M, G, T, P or E behind it.
std::optional<json::value> parse_integer(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  int shift = 0;
  const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  if (hexadecimal)
    text.remove_prefix(2);
  else if (!text.empty())
    if (const auto suffix = binary_suffix(text.back())) {
      shift = *suffix;
      text.remove_suffix(1);
    }
  std::uint64_t magnitude = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), magnitude, hexadecimal ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (shift > 0 && magnitude > (~std::uint64_t{0} >> shift)) return std::nullopt;
  magnitude <<= shift;
  constexpr std::uint64_t most_negative = std::uint64_t{1} << 63;
  if (negative && magnitude > most_negative) return std::nullopt;
  if (negative) return json::value(static_cast<std::int64_t>(~magnitude + 1));
  if (magnitude < most_negative) return json::value(static_cast<std::int64_t>(magnitude));
  return json::value(magnitude);
}

std::optional<json::value> parse_number(std::string_view text) {
  if (auto integer = parse_integer(text)) return integer;
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  // JSON has neither infinity nor "not a number".
  if (error != std::errc() || end != text.data() + text.size() || number - number != 0) return std::nullopt;
  return json::value(number);
}

std::optional<json::value> parse_boolean(std::string_view text) {
  if (text == "true" || text == "on" || text == "yes") return json::value(true);
  if (text == "false" || text == "off" || text == "no") return json::value(false);
  return std::nullopt;
}

Result<json::value> parse_enumeration(std::string_view text, const Type& type, std::string_view key) {
  if (std::ranges::find(type.values, text) != type.values.end()) return text_value(text);
  const std::vector<std::string_view> values(type.values.begin(), type.values.end());
  Error error(fmt::format("'{}' cannot be '{}'", key, text));
  const auto near = nearest(text, values);
  return std::unexpected(std::move(error).advise(
      near.empty() ? fmt::format("use one of {}", fmt::join(values, ", ")) : fmt::format("use {}?", near)));
}

/// What looks like a JSON value is one; everything else is a string.
Result<json::value> parse_any(std::string_view text, std::string_view key) {
  if (text.starts_with('{') || text.starts_with('[')) return parse_json(text, key);
  if (text == "null") return json::value(nullptr);
  if (text == "true" || text == "false") return json::value(text == "true");
  json::error_code error;
  auto value = json::parse(json::string_view(text.data(), text.size()), error);
  if (!error && value.is_number()) return value;
  return text_value(text);
}

bool takes(const Type& type, Kind kind) {
  return std::ranges::any_of(type.choices, [kind](const Type* choice) { return choice->kind == kind; });
}

/// The narrowest choice that the text fits; a string only where nothing else does.
Result<json::value> parse_alternate(std::string_view text, const Type& type, std::string_view key) {
  if (text == "null" && takes(type, Kind::null)) return json::value(nullptr);
  for (const Type* choice : type.choices) {
    const bool by_bracket = (choice->kind == Kind::object && text.starts_with('{')) ||
                            (choice->kind == Kind::array && text.starts_with('['));
    if (by_bracket) return parse_value(text, *choice, key);
    if (choice->kind == Kind::enumeration && std::ranges::find(choice->values, text) != choice->values.end())
      return text_value(text);
  }
  for (const Type* choice : type.choices) {
    auto value = choice->kind == Kind::integer   ? parse_integer(text)
                 : choice->kind == Kind::number  ? parse_number(text)
                 : choice->kind == Kind::boolean ? parse_boolean(text)
                                                 : std::nullopt;
    if (value) return *std::move(value);
  }
  if (takes(type, Kind::string)) return text_value(text);
  if (takes(type, Kind::any)) return parse_any(text, key);
  return mismatch(key, type, text);
}

/// Text in quotes is a string wherever the type has room for one.
bool has_room_for_string(const Type& type) {
  return type.kind == Kind::string || type.kind == Kind::any ||
         (type.kind == Kind::alternate && (takes(type, Kind::string) || takes(type, Kind::any)));
}

}  // namespace

Result<json::value> parse_value(std::string_view text, const Type& type, std::string_view key) {
  const auto content = unquoted(text);
  if (content && has_room_for_string(type)) return text_value(*content);
  if (content) text = *content;
  std::optional<json::value> value;
  switch (type.kind) {
    case Kind::string:
      return text_value(text);
    case Kind::integer:
      value = parse_integer(text);
      break;
    case Kind::number:
      value = parse_number(text);
      break;
    case Kind::boolean:
      value = parse_boolean(text);
      break;
    case Kind::null:
      if (text == "null") value = json::value(nullptr);
      break;
    case Kind::any:
      return parse_any(text, key);
    case Kind::enumeration:
      return parse_enumeration(text, type, key);
    case Kind::alternate:
      return parse_alternate(text, type, key);
    case Kind::object:
    case Kind::array:
      if (!text.starts_with(type.kind == Kind::object ? '{' : '[')) break;
      return parse_json(text, key);
  }
  if (!value) return mismatch(key, type, text);
  return *std::move(value);
}

}  // namespace godwit::cli::qmp
