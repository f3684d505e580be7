// The text of a scalar token to its value (control-plane sections 1.1 and 2).
#pragma once

#include <boost/json/value.hpp>
#include <string_view>

#include <godwit/result.h>

namespace godwit::qmp {

/// "JSON parse error, " and `what`, cut to the length the reference has room for.
Error json_error(std::string_view what);

/// `token` with its quotes: checks and resolves escapes, checks UTF-8.
Result<boost::json::string> parse_string_token(std::string_view token);

/// An int64 if it fits, else an uint64, else a double. `token` follows JSON's grammar for numbers.
boost::json::value parse_number_token(std::string_view token);

/// true, false, null; anything else is an error.
Result<boost::json::value> parse_keyword_token(std::string_view token);

}  // namespace godwit::qmp
