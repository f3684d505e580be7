#include "cli/json_text.h"

#include <cmath>
#include <fmt/format.h>

namespace godwit::cli {

namespace json = boost::json;

namespace {

/// On one line: no indent.
constexpr std::size_t one_line = static_cast<std::size_t>(-1);

void print(const json::value& value, std::size_t indent, std::string& text);

void break_line(std::size_t indent, std::string& text) {
  if (indent != one_line) text.append("\n").append(indent, ' ');
}

/// Members or elements between brackets, one per line; "{}" and "[]" if there are none.
template <typename Container, typename PrintOne>
void print_list(const Container& container, std::string_view brackets, std::size_t indent, std::string& text,
                PrintOne print_one) {
  const std::size_t inner = indent == one_line ? one_line : indent + 2;
  text += brackets[0];
  bool first = true;
  for (const auto& entry : container) {
    if (!first) text += indent == one_line ? ", " : ",";
    break_line(inner, text);
    print_one(entry, inner);
    first = false;
  }
  if (!first) break_line(indent, text);
  text += brackets[1];
}

void print(const json::value& value, std::size_t indent, std::string& text) {
  if (const auto* object = value.if_object())
    print_list(*object, "{}", indent, text, [&](const auto& member, std::size_t inner) {
      text += json::serialize(json::string_view(member.key())) + ": ";
      print(member.value(), inner, text);
    });
  else if (const auto* array = value.if_array())
    print_list(*array, "[]", indent, text,
               [&](const auto& element, std::size_t inner) { print(element, inner, text); });
  else if (const auto* number = value.if_double(); number != nullptr && std::isfinite(*number))
    text += fmt::format("{}", *number);
  else
    text += json::serialize(value);
}

}  // namespace

std::string pretty(const json::value& value) {
  std::string text;
  print(value, 0, text);
  return text + "\n";
}

std::string compact(const json::value& value) {
  std::string text;
  print(value, one_line, text);
  return text;
}

}  // namespace godwit::cli
