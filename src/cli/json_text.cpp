#include "cli/json_text.h"

#include <cmath>
#include <fmt/format.h>

namespace godwit::cli {

namespace json = boost::json;

namespace {

void print(const json::value& value, std::size_t indent, std::string& text);

/// Members or elements between brackets, one per line; "{}" and "[]" if there are none.
template <typename Container, typename PrintOne>
void print_list(const Container& container, std::string_view brackets, std::size_t indent, std::string& text,
                PrintOne print_one) {
  text += brackets[0];
  bool first = true;
  for (const auto& entry : container) {
    text += first ? "\n" : ",\n";
    text.append(indent + 2, ' ');
    print_one(entry);
    first = false;
  }
  if (!first) text.append("\n").append(indent, ' ');
  text += brackets[1];
}

void print(const json::value& value, std::size_t indent, std::string& text) {
  if (const auto* object = value.if_object())
    print_list(*object, "{}", indent, text, [&](const auto& member) {
      text += json::serialize(json::string_view(member.key())) + ": ";
      print(member.value(), indent + 2, text);
    });
  else if (const auto* array = value.if_array())
    print_list(*array, "[]", indent, text, [&](const auto& element) { print(element, indent + 2, text); });
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

}  // namespace godwit::cli
