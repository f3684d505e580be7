#include "vm/process/option_values.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/fail.h"

namespace godwit::vm {

namespace {

constexpr std::uint64_t no_unit = 0;

std::uint64_t unit_of(char suffix) {
  switch (suffix | 0x20) {
    case 'b':
      return 1;
    case 'k':
      return std::uint64_t{1} << 10;
    case 'm':
      return std::uint64_t{1} << 20;
    case 'g':
      return std::uint64_t{1} << 30;
    case 't':
      return std::uint64_t{1} << 40;
    case 'p':
      return std::uint64_t{1} << 50;
    case 'e':
      return std::uint64_t{1} << 60;
    default:
      return no_unit;
  }
}

std::unexpected<Error> bad_size(std::string_view name) {
  return fail(
      "Parameter '{}' expects a non-negative number below 2^64, with an optional suffix k, M, G, T, P or E",
      name);
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// Takes the digits of `base` off the front of `text`; false if there are none or too many.
bool take_digits(std::string_view& text, int base, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool take_whole(std::string_view& text, std::uint64_t& value) {
  const bool hexadecimal = text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == 'x';
  if (hexadecimal) text.remove_prefix(2);
  return take_digits(text, hexadecimal ? 16 : 10, value);
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view name, std::string_view text, std::uint64_t unit) {
  std::uint64_t whole = 0;
  if (!take_whole(text, whole)) return bad_size(name);
  long double fraction = 0;
  if (!text.empty() && text.front() == '.') {
    long double weight = 1;
    for (text.remove_prefix(1); !text.empty() && is_digit(text.front()); text.remove_prefix(1)) {
      weight /= 10;
      fraction += weight * static_cast<long double>(text.front() - '0');
    }
  }
  if (!text.empty()) {
    unit = unit_of(text.front());
    text.remove_prefix(1);
  }
  if (!text.empty() || unit == no_unit) return bad_size(name);
  if (fraction != 0 && unit == 1) return bad_size(name);
  const auto part = static_cast<std::uint64_t>(std::floor(fraction * static_cast<long double>(unit)));
  if (whole > (std::numeric_limits<std::uint64_t>::max() - part) / unit) return bad_size(name);
  return whole * unit + part;
}

Result<std::uint64_t> parse_number(std::string_view name, std::string_view text) {
  std::uint64_t value = 0;
  if (!take_whole(text, value) || !text.empty()) return fail("Parameter '{}' expects a number", name);
  return value;
}

Result<bool> parse_flag(std::string_view name, std::string_view text) {
  if (text == "on" || text == "yes" || text == "true" || text == "y") return true;
  if (text == "off" || text == "no" || text == "false" || text == "n") return false;
  return fail("Parameter '{}' expects 'on' or 'off'", name);
}

Result<Uuid> parse_uuid(std::string_view text) {
  constexpr std::string_view shape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  Uuid uuid{};
  std::size_t digits = 0;
  bool good = text.size() == shape.size();
  for (std::size_t i = 0; good && i < shape.size(); ++i) {
    if (shape[i] == '-') {
      good = text[i] == '-';
      continue;
    }
    const int digit = hex_digit(text[i]);
    good = digit >= 0;
    if (good) uuid[digits / 2] = static_cast<std::uint8_t>((uuid[digits / 2] << 4) | digit);
    ++digits;
  }
  if (!good) return fail("failed to parse UUID string: wrong format");
  return uuid;
}

std::string to_text(const Uuid& uuid) {
  std::string text;
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", uuid[i]);
  }
  return text;
}

bool is_identifier(std::string_view text) {
  const auto letter = [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; };
  if (text.empty() || !letter(text.front())) return false;
  return std::ranges::all_of(
      text, [&](char c) { return letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_'; });
}

OptionValues OptionValues::parse(std::string_view text, std::string_view implied_key) {
  OptionValues values;
  bool first = true;
  for (std::size_t at = 0; at < text.size(); first = false) {
    std::string element;
    while (at < text.size() && (text[at] != ',' || (at + 1 < text.size() && text[at + 1] == ','))) {
      if (text[at] == ',') ++at;
      element += text[at++];
    }
    ++at;  // the comma
    if (element.empty()) continue;
    const std::size_t equals = element.find('=');
    if (equals != std::string::npos)
      values.entries_.push_back({element.substr(0, equals), element.substr(equals + 1), false});
    else if (first && !implied_key.empty())
      values.entries_.push_back({std::string(implied_key), element, false});
    else
      values.entries_.push_back({element, "on", true});
  }
  return values;
}

bool OptionValues::has(std::string_view key) const {
  return std::ranges::any_of(entries_, [&](const Entry& entry) { return entry.key == key; });
}

std::optional<std::string> OptionValues::take(std::string_view key) {
  std::optional<std::string> value;
  std::erase_if(entries_, [&](Entry& entry) {
    if (entry.key != key) return false;
    value = std::move(entry.value);
    return true;
  });
  return value;
}

Result<std::string> OptionValues::require(std::string_view key) {
  auto value = take(key);
  if (!value) return fail("Parameter '{}' is missing", key);
  return *std::move(value);
}

Result<std::optional<bool>> OptionValues::take_flag(std::string_view key) {
  const std::string negated = "no" + std::string(key);
  std::optional<std::string> value;
  std::erase_if(entries_, [&](Entry& entry) {
    if (entry.key == key)
      value = std::move(entry.value);
    else if (entry.bare && entry.key == negated)
      value = "off";
    else
      return false;
    return true;
  });
  if (!value) return std::nullopt;
  GODWIT_ASSIGN(const bool flag, parse_flag(key, *value));
  return flag;
}

Result<std::optional<std::uint64_t>> OptionValues::take_size(std::string_view key, std::uint64_t unit) {
  const auto text = take(key);
  if (!text) return std::nullopt;
  GODWIT_ASSIGN(const std::uint64_t size, parse_size(key, *text, unit));
  return size;
}

Result<std::optional<std::uint64_t>> OptionValues::take_number(std::string_view key) {
  const auto text = take(key);
  if (!text) return std::nullopt;
  GODWIT_ASSIGN(const std::uint64_t number, parse_number(key, *text));
  return number;
}

void OptionValues::ignore(std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) take(key);
}

void OptionValues::set_default(std::string key, std::string value) {
  if (!has(key)) entries_.push_back({std::move(key), std::move(value), false});
}

Result<> OptionValues::finish() const {
  if (!entries_.empty()) return fail("Invalid parameter '{}'", entries_.front().key);
  return {};
}

std::vector<std::string> OptionValues::remaining() const {
  std::vector<std::string> keys;
  for (const Entry& entry : entries_) keys.push_back(entry.key);
  return keys;
}

}  // namespace godwit::vm
