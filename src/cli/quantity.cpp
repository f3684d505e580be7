#include "cli/quantity.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

#include "base/fail.h"

namespace godwit::cli {
namespace {

constexpr double mib = 1 << 20;
constexpr double most_bytes = 1ULL << 60;

/// How many bytes the unit stands for, 0 if there is no such unit.
double unit_bytes(std::string_view unit) {
  if (unit.empty()) return mib;
  if (unit == "B" || unit == "b") return 1;
  constexpr std::string_view letters = "kmgt";
  const auto power = letters.find(static_cast<char>(std::tolower(static_cast<unsigned char>(unit.front()))));
  const auto rest = unit.substr(1);
  if (power == std::string_view::npos || (!rest.empty() && rest != "B" && rest != "iB")) return 0;
  return std::pow(1024, static_cast<double>(power) + 1);
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const double unit = unit_bytes({end, static_cast<std::size_t>(text.data() + text.size() - end)});
  if (error != std::errc() || unit == 0)
    return fail("'{}' is not a size: write a number and a unit, such as 512M or 2G", text);
  const double bytes = number * unit;
  if (!(bytes >= 1) || bytes > most_bytes) return fail("the size '{}' is out of range", text);
  return static_cast<std::uint64_t>(bytes);
}

Result<std::uint64_t> parse_rate(std::string_view text) {
  if (text == "max" || text == "0") return 0;
  if (text.ends_with("/s")) text.remove_suffix(2);
  return parse_size(text);
}

std::string size_text(double bytes) {
  constexpr std::array<const char*, 5> units = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1023.5 && unit + 1 < units.size(); ++unit) bytes /= 1024;
  const bool whole = unit == 0 || bytes >= 99.95 || std::abs(bytes - std::round(bytes)) < 0.005;
  return fmt::format("{:.{}f} {}", bytes, whole ? 0 : bytes < 9.995 ? 2 : 1, units[unit]);
}

std::string rate_text(double bytes_per_second) {
  return size_text(bytes_per_second) + "/s";
}

std::string milliseconds_text(double milliseconds) {
  if (milliseconds >= 1000) return fmt::format("{:.2f} s", milliseconds / 1000);
  return fmt::format("{:.{}f} ms", milliseconds, milliseconds < 99.95 ? 1 : 0);
}

std::string count_text(std::uint64_t count) {
  std::string text = std::to_string(count);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, 1, ',');
  return text;
}

}  // namespace godwit::cli
