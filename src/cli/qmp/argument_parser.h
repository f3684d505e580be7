// From what the operator types to the request a monitor takes.
#pragma once

#include <boost/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "cli/qmp/schema_index.h"

namespace godwit::cli::qmp {

/// A value for a member of that type. `key` is for the error.
Result<boost::json::value> parse_value(std::string_view text, const Type& type, std::string_view key);

/// "COMMAND key=value...", with "exec-oob" or "-oob" in front of it for out-of-band execution, or a request
/// as JSON. Types come from the schema. A command the schema does not know goes to the monitor all the same:
/// it shall say what it thinks of it.
Result<boost::json::object> parse_request(std::string_view line, const SchemaIndex& schema);

/// The same for words that a command shell has split.
Result<boost::json::object> parse_request(std::span<const std::string_view> words, const SchemaIndex& schema);

/// Whether it is a request in JSON, which needs no schema.
bool is_json_request(std::string_view text);

}  // namespace godwit::cli::qmp
