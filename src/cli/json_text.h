// JSON for people and scripts alike.
#pragma once

#include <boost/json.hpp>
#include <string>

namespace godwit::cli {

/// Indented, members in their order, numbers as short as they can be: 1.5, not 1.5E0. Ends with a newline.
std::string pretty(const boost::json::value& value);

/// The same on one line, as a monitor writes it: {"a": 1, "b": [2, 3]}. Without a newline.
std::string compact(const boost::json::value& value);

}  // namespace godwit::cli
