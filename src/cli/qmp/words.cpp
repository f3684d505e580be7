#include "cli/qmp/words.h"

#include <boost/json.hpp>

namespace godwit::cli::qmp {

namespace json = boost::json;

namespace {

constexpr std::string_view spaces = " \t\r\n";

/// The index behind the quoted text that starts at `at`; npos if it does not end.
std::size_t end_of_quotes(std::string_view line, std::size_t at) {
  const char quote = line[at];
  for (++at; at < line.size(); ++at) {
    if (line[at] == '\\' && quote == '"')
      ++at;
    else if (line[at] == quote)
      return at + 1;
  }
  return line.npos;
}

/// The same for JSON in brackets. `missing` says what would close it.
std::size_t end_of_brackets(std::string_view line, std::size_t at, char& missing) {
  std::string open;
  while (at < line.size()) {
    const char c = line[at];
    if (c == '"') {
      at = end_of_quotes(line, at);
      if (at == line.npos) missing = '"';
      if (at == line.npos) return at;
      continue;
    }
    if (c == '{') open += '}';
    if (c == '[') open += ']';
    if (!open.empty() && c == open.back()) open.pop_back();
    ++at;
    if (open.empty()) return at;
  }
  missing = open.back();
  return line.npos;
}

/// The index behind the word that starts at `at`.
std::size_t end_of_word(std::string_view line, std::size_t at, char& missing) {
  bool at_value = true;  // at the start of a word, or behind its '='
  bool in_value = false;
  while (at < line.size() && !spaces.contains(line[at])) {
    const char c = line[at];
    if (at_value && (c == '"' || c == '\'')) {
      const auto end = end_of_quotes(line, at);
      if (end == line.npos) missing = c;
      at = end;
    } else if (at_value && (c == '{' || c == '[')) {
      at = end_of_brackets(line, at, missing);
    } else {
      ++at;
      at_value = c == '=' && !in_value;
      in_value = in_value || c == '=';
      continue;
    }
    if (at == line.npos) return line.size();
    at_value = false;
  }
  return at;
}

}  // namespace

Words split_words(std::string_view line) {
  Words found;
  for (std::size_t at = line.find_first_not_of(spaces); at != line.npos;
       at = line.find_first_not_of(spaces, at)) {
    const std::size_t end = end_of_word(line, at, found.missing);
    found.words.push_back({at, line.substr(at, end - at)});
    at = end;
  }
  return found;
}

std::optional<std::string> unquoted(std::string_view text) {
  if (text.size() < 2 || text.front() != text.back()) return std::nullopt;
  if (text.front() == '\'') return std::string(text.substr(1, text.size() - 2));
  if (text.front() != '"') return std::nullopt;
  json::error_code error;
  const auto value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !value.is_string()) return std::nullopt;
  return std::string(value.get_string().data(), value.get_string().size());
}

}  // namespace godwit::cli::qmp
