// Values to text, as the monitor sends them: ASCII only (control-plane section 1.1).
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::qmp {

enum class JsonLayout : std::uint8_t {
  line,    ///< one line, one space after every colon and comma
  pretty,  ///< one member per line, indented by four spaces, lines end in CR LF
};

/// Appends `value` to `out`, without a line end after it. Strings may hold anything: what is not UTF-8 is
/// shown as U+FFFD. A double beyond the range, which JSON cannot say, is written 1e999: it reads back as
/// infinity.
void print_json(std::string& out, const boost::json::value& value, JsonLayout layout = JsonLayout::line);

std::string to_json_text(const boost::json::value& value, JsonLayout layout = JsonLayout::line);

/// Appends `text` as a JSON string, with its quotes.
void print_json_string(std::string& out, std::string_view text);

}  // namespace godwit::qmp
