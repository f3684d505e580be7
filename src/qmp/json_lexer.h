// Bytes to tokens: the lexical half of QMP's JSON dialect (control-plane sections 1.1, 1.7, 1.8).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::qmp {

/// What one client may make the monitor hold. Tests use smaller ones.
struct JsonLimits {
  std::size_t text_bytes = 64 * 1024 * 1024;  ///< of one token, and of all tokens of one value
  std::size_t tokens = 2 * 1024 * 1024;       ///< of one value
  std::size_t nesting = 1024;                 ///< open brackets and braces
};

/// A lexical unit, or why there is none.
struct JsonToken {
  enum class Kind : std::uint8_t {
    none,  ///< the bytes are used up and no token is complete
    left_brace,
    right_brace,
    left_bracket,
    right_bracket,
    colon,
    comma,
    string,   ///< text includes the quotes; escapes and UTF-8 are still to be checked
    number,   ///< integer or not: JSON's grammar is checked, the range is not
    keyword,  ///< a run of a-z, known or not
    stray,    ///< lexical error; text is what was collected plus the offending byte
    too_long  ///< a token beyond JsonLimits::text_bytes; what was collected is dropped
  };
  Kind kind = Kind::none;
  std::string_view text;  ///< valid until the next call, and as long as the bytes given
};

/// An incremental push lexer: takes bytes in pieces of any size. No I/O, no threads.
class JsonLexer {
 public:
  explicit JsonLexer(JsonLimits limits = {}) : limits_(limits) {}

  /// Consumes bytes from the front of `bytes` until a token is complete or they are used up. The byte that
  /// ends a number or keyword is not consumed. Never waits for a newline.
  JsonToken next(std::string_view& bytes);

  /// The token that the end of input completes: a number or keyword, `stray` for anything unfinished, or
  /// none.
  JsonToken finish();

  /// True if bytes of an unfinished token are held.
  bool in_token() const { return state_ != State::between && state_ != State::skipping; }

 private:
  enum class State : std::uint8_t {
    between,       // outside of any token
    skipping,      // after a lexical error, up to something that can restart
    in_string,     // after the opening quote
    escape,        // after a backslash
    minus,         // "-": a digit must follow
    leading_zero,  // "0" or "-0": no digit may follow
    integer,
    point,  // "1.": a digit must follow
    fraction,
    exponent,       // "1e": a digit or sign must follow
    exponent_sign,  // "1e+": a digit must follow
    exponent_digits,
    keyword,
  };
  enum class Step : std::uint8_t { more, complete, complete_before, error };

  void forget_held();
  JsonToken begin(std::string_view& bytes);
  JsonToken go_on(std::string_view& bytes);
  void skip_to_restart(std::string_view& bytes);
  Step scan(std::string_view window, std::size_t& at);
  Step step(char byte);
  Step number_step(char byte);
  JsonToken::Kind kind_of_state() const;

  JsonLimits limits_;
  State state_ = State::between;
  char quote_ = '"';
  std::string held_;  // the front of a token that an earlier piece began
};

}  // namespace godwit::qmp
