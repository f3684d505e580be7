#include "vm/process/hmp_arguments.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <optional>

#include "base/fail.h"

namespace godwit::vm {

namespace {

/// More could not be read by a person, nor sent in one answer.
constexpr std::uint64_t largest_count = 1 << 16;

/// Nothing if there is no word, or a string in quotes that is wrong.
std::optional<std::string> take_word(std::string_view& text) {
  skip_blanks(text);
  if (text.empty()) return std::nullopt;
  std::string word;
  if (text.front() != '"') {
    while (!text.empty() && !std::isspace(static_cast<unsigned char>(text.front()))) {
      word += text.front();
      text.remove_prefix(1);
    }
    return word;
  }
  for (text.remove_prefix(1); !text.empty(); text.remove_prefix(1)) {
    char c = text.front();
    if (c == '"') {
      text.remove_prefix(1);
      return word;
    }
    if (c == '\\') {
      text.remove_prefix(1);
      if (text.empty()) return std::nullopt;
      c = text.front();
      if (c == 'n')
        c = '\n';
      else if (c == 'r')
        c = '\r';
      else if (c != '\\' && c != '\'' && c != '"')
        return std::nullopt;
    }
    word += c;
  }
  return std::nullopt;  // not closed
}

/// `later`: the flags that may come after this one.
Result<bool> take_flag(std::string_view name, std::string_view& text, char flag, std::string_view later) {
  skip_blanks(text);
  if (!text.starts_with('-')) return false;
  const char given = text.size() > 1 ? text[1] : ' ';
  if (given == flag) {
    text.remove_prefix(2);
    return true;
  }
  if (later.find(given) != std::string_view::npos) return false;
  return fail("{}: unsupported option -{}", name, given);
}

Result<DumpFormat> take_format(std::string_view& text, DumpFormat format) {
  skip_blanks(text);
  format.count = 1;
  if (!text.starts_with('/')) return format;
  text.remove_prefix(1);
  if (!text.empty() && std::isdigit(static_cast<unsigned char>(text.front()))) {
    format.count = 0;
    for (; !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())); text.remove_prefix(1))
      format.count =
          std::min(format.count * 10 + static_cast<std::uint64_t>(text.front() - '0'), largest_count + 1);
    if (format.count > largest_count) return fail("the count is too large: {} at most", largest_count);
  }
  for (; !text.empty(); text.remove_prefix(1)) {
    constexpr std::string_view letters = "oxduci";
    constexpr std::string_view sizes = "bhwg";
    if (letters.find(text.front()) != std::string_view::npos)
      format.letter = text.front();
    else if (const std::size_t size = sizes.find(text.front()); size != std::string_view::npos)
      format.size = 1U << size;
    else
      break;
  }
  if (!text.empty() && !std::isspace(static_cast<unsigned char>(text.front())))
    return fail("invalid char in format: '{}'", text.front());
  return format;
}

Result<bool> take_switch(std::string_view& text) {
  skip_blanks(text);
  const std::size_t end = std::min(text.find_first_of(" \t\n"), text.size());
  const std::string_view word = text.substr(0, end);
  if (word != "on" && word != "off") return fail("Expected 'on' or 'off'");
  text.remove_prefix(end);
  return word == "on";
}

std::vector<std::string_view> elements_of(std::string_view syntax) {
  std::vector<std::string_view> elements;
  while (!syntax.empty()) {
    elements.push_back(syntax.substr(0, syntax.find(' ')));
    syntax.remove_prefix(std::min(elements.back().size() + 1, syntax.size()));
  }
  return elements;
}

}  // namespace

Result<HumanArguments> parse_human_arguments(std::string_view name, std::string_view syntax,
                                             std::string_view text, const DumpFormat& last_format) {
  HumanArguments arguments;
  arguments.format = last_format;
  const std::vector<std::string_view> elements = elements_of(syntax);
  for (std::size_t at = 0; at < elements.size(); ++at) {
    const std::string_view element = elements[at];
    skip_blanks(text);
    if (element.ends_with('?') && text.empty()) break;
    if (element.starts_with('-')) {
      std::string later;
      for (std::size_t next = at + 1; next < elements.size() && elements[next].starts_with('-'); ++next)
        later += elements[next][1];
      GODWIT_ASSIGN(const bool given, take_flag(name, text, element[1], later));
      if (given) arguments.flags += element[1];
    } else if (element.starts_with('s')) {
      auto word = take_word(text);
      if (!word) return fail("{}: string expected", name);
      arguments.words.push_back(*std::move(word));
    } else if (element.starts_with('l')) {
      GODWIT_ASSIGN(const std::uint64_t number, take_expression(text));
      arguments.numbers.push_back(number);
    } else if (element == "b") {
      GODWIT_ASSIGN(arguments.on, take_switch(text));
    } else {
      GODWIT_ASSIGN(arguments.format, take_format(text, last_format));
    }
  }
  skip_blanks(text);
  if (!text.empty()) return fail("{}: extraneous characters at the end of line", name);
  return arguments;
}

}  // namespace godwit::vm
