// A typed line as words: "COMMAND key=value key='several words' key={"json": [1, 2]}".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::cli::qmp {

struct Word {
  std::size_t begin = 0;  ///< where it starts in the line
  std::string_view text;  ///< as typed, with its quotes
};

struct Words {
  std::vector<Word> words;
  char missing = 0;  ///< the quote or bracket that closes the last word and is not there; 0: it is closed
};

/// Space separates words. A value that starts with a quote goes to its end; one that starts with a bracket to
/// the one that matches.
Words split_words(std::string_view line);

/// What is between the quotes of a value in 'single' or "double" quotes (in which \ escapes as in JSON);
/// none if it is not quoted.
std::optional<std::string> unquoted(std::string_view text);

}  // namespace godwit::cli::qmp
