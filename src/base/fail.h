// Formatted failures: `return fail("error parsing address '{}'", text);`
#pragma once

#include <fmt/format.h>

#include <godwit/result.h>

namespace godwit {

template <typename... Arguments>
std::unexpected<Error> fail(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
  return std::unexpected<Error>(Error(fmt::format(text, std::forward<Arguments>(arguments)...)));
}

}  // namespace godwit
