// Bytes to values: QMP's JSON dialect (control-plane sections 1.1, 1.7, 1.8, 2).
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include <godwit/result.h>

#include "qmp/json_lexer.h"

namespace godwit::qmp {

/// An incremental push parser for a sequence of values with or without white space between them. No I/O, no
/// threads. One bad value may give several errors: the parser restarts in the middle of the text, as the
/// specification says.
///
/// The error of a value with balanced brackets is reported once, at its last bracket; a lexical error or an
/// exceeded limit at once, and what came before it is dropped.
class JsonParser {
 public:
  /// One value, or one error whose text is ready for the client: "JSON parse error, expecting value".
  using Outcome = Result<boost::json::value>;

  explicit JsonParser(JsonLimits limits = {}) : lexer_(limits), limits_(limits) {}

  /// Consumes bytes from the front of `bytes` until there is an outcome, or, returning nothing, all of them.
  std::optional<Outcome> next(std::string_view& bytes);

  /// What the end of input completes: a number or keyword at the top level, an error for anything unfinished
  /// ("JSON parse error, premature EOI"), or nothing. Starts afresh.
  std::optional<Outcome> finish();

  /// True between values: nothing is held of an unfinished one.
  bool idle() const { return frames_.empty() && !failure_ && !lexer_.in_token() && balance_.empty(); }

 private:
  /// What a container waits for.
  enum class Expect : std::uint8_t {
    first_key,
    key,
    colon,
    member,
    after_member,
    first_element,
    element,
    after_element
  };
  struct Frame {
    Expect expect;
    boost::json::string key;
    boost::json::value container;  // array or object
  };
  struct Balance {
    std::ptrdiff_t braces = 0;
    std::ptrdiff_t brackets = 0;
    std::size_t tokens = 0;
    std::size_t text_bytes = 0;
    bool empty() const { return tokens == 0; }
    bool settled() const { return braces < 0 || brackets < 0 || (braces == 0 && brackets == 0); }
    std::ptrdiff_t depth() const { return braces + brackets; }
  };

  std::optional<Outcome> take(const JsonToken& token);
  Result<> count(const JsonToken& token);
  Result<> parse(const JsonToken& token);
  Result<> parse_in(Frame& frame, const JsonToken& token);
  Result<> begin_value(const JsonToken& token);
  Result<> end_value(boost::json::value&& value);
  Result<> end_container();
  Outcome settle();
  void start_afresh();

  JsonLexer lexer_;
  JsonLimits limits_;
  Balance balance_;
  std::vector<Frame> frames_;                // the containers that are open, outermost first
  std::optional<boost::json::value> value_;  // complete, at the top level
  std::optional<Error> failure_;             // the first error of the value, kept until its brackets balance
};

}  // namespace godwit::qmp
