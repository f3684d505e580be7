// Writing JSON text, for the description whose form is fixed to the last blank.
#pragma once

#include <string>
#include <string_view>

namespace godwit::wire {

/// Appends `text` as a JSON string, quoted and escaped.
void append_quoted(std::string& out, std::string_view text);

}  // namespace godwit::wire
