// The arguments of a command of the human monitor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <godwit/result.h>

namespace godwit::vm {

/// "/4xw": how memory is printed.
struct DumpFormat {
  std::uint64_t count = 1;
  char letter = 'x';  ///< o, x, d, u, c or i
  unsigned size = 4;  ///< bytes of a number
};

struct HumanArguments {
  std::string flags;  ///< the letters of those that were given
  std::vector<std::string> words;
  std::vector<std::uint64_t> numbers;
  bool on = false;
  DumpFormat format;

  bool has(char flag) const { return flags.find(flag) != std::string::npos; }
};

/// `syntax` has, separated by blanks and in order:
///   -x   a flag          s  a word, or a string in quotes     l  a number: an expression
///   b    on or off       /  a format as in /4xw               s? l?  the same, may be missing
/// `name` is what errors call the command. Their texts are complete sentences of the monitor's own.
Result<HumanArguments> parse_human_arguments(std::string_view name, std::string_view syntax,
                                             std::string_view text, const DumpFormat& last_format);

/// Takes an expression off the front of `text`: numbers in C's notation, 'c', + - * / % & | ^ ~ ( ).
Result<std::uint64_t> take_expression(std::string_view& text);

void skip_blanks(std::string_view& text);

}  // namespace godwit::vm
