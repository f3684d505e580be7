#include "cli/inspect/values_text.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>

#include "cli/quantity.h"

namespace godwit::cli::inspect {
namespace {

constexpr std::uint64_t hexadecimal_from = 4096;
constexpr std::size_t bytes_shown = 16;
constexpr std::size_t numbers_shown = 8;

bool is_text(char c) {
  return std::isprint(static_cast<unsigned char>(c)) != 0;
}

std::string number_text(std::uint64_t number) {
  return number < hexadecimal_from ? fmt::format("{}", number) : fmt::format("{:#x}", number);
}

std::string number_text(std::int64_t number) {
  return fmt::format("{}", number);
}

/// A text that ends with a zero byte, with nothing but zeros behind it.
std::string_view zero_ended(std::span<const std::byte> bytes) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto text = all.substr(0, all.find('\0'));
  const bool padded = all.find_first_not_of('\0', text.size()) == std::string_view::npos;
  return padded && text.size() < all.size() && std::ranges::all_of(text, is_text) ? text : std::string_view();
}

std::string bytes_text(std::span<const std::byte> bytes) {
  const auto text = zero_ended(bytes);
  if (text.size() >= 2 && text.size() <= 4 * bytes_shown) return fmt::format("\"{}\"", text);
  if (bytes.size() <= bytes_shown) return hex_text(bytes);
  // A buffer with little in it says more by where that is.
  const auto first = static_cast<std::size_t>(
      std::ranges::find_if(bytes, [](std::byte b) { return b != std::byte{0}; }) - bytes.begin());
  if (first < bytes_shown || first == bytes.size())
    return fmt::format("{}… ({} bytes)", hex_text(bytes.first(bytes_shown)), count_text(bytes.size()));
  const auto shown = bytes.subspan(first, std::min(bytes_shown, bytes.size() - first));
  return fmt::format("({} zeros) {}… ({} bytes)", count_text(first), hex_text(shown),
                     count_text(bytes.size()));
}

template <typename Number>
std::string numbers_text(const std::vector<Number>& numbers) {
  std::string text = "[";
  for (std::size_t i = 0; i < std::min(numbers.size(), numbers_shown); ++i)
    text += (i == 0 ? "" : ", ") + number_text(numbers[i]);
  if (numbers.size() > numbers_shown) text += fmt::format(", … {} in all", count_text(numbers.size()));
  return text + "]";
}

}  // namespace

std::string hex_text(std::span<const std::byte> bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::byte byte : bytes)
    fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned>(byte));
  return text;
}

std::string safe_text(std::string_view text) {
  std::string safe;
  for (const char c : text)
    if (is_text(c) && c != '\\')
      safe += c;
    else
      fmt::format_to(std::back_inserter(safe), "\\x{:02x}", static_cast<unsigned char>(c));
  return safe;
}

std::string uuid_text(std::span<const std::uint8_t, 16> uuid) {
  std::string text;
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    fmt::format_to(std::back_inserter(text), "{:02x}", uuid[i]);
  }
  return text;
}

std::string value_text(const wire::NamedField& field, const wire::FieldValue& value) {
  if (field.type == "timer" && std::holds_alternative<std::uint64_t>(value)) {
    const auto expiry = std::get<std::uint64_t>(value);
    return expiry == ~std::uint64_t{0} ? "not armed" : fmt::format("{} ns", expiry);
  }
  if (const auto* truth = std::get_if<bool>(&value)) return *truth ? "on" : "off";
  if (const auto* plain = std::get_if<std::uint64_t>(&value)) return number_text(*plain);
  if (const auto* negative = std::get_if<std::int64_t>(&value)) return number_text(*negative);
  if (const auto* array = std::get_if<std::vector<std::uint64_t>>(&value)) return numbers_text(*array);
  if (const auto* array = std::get_if<std::vector<std::int64_t>>(&value)) return numbers_text(*array);
  return bytes_text(std::get<std::span<const std::byte>>(value));
}

}  // namespace godwit::cli::inspect
