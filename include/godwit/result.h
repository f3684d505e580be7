// Result<T>: a value or an Error. The whole of Godwit reports failure this way; no exception leaves a module.
#pragma once

#include <expected>
#include <utility>

#include <godwit/error.h>

namespace godwit {

template <typename T = void>
using Result = std::expected<T, Error>;

/// `return fail("cannot open ...");` for a text that is ready. Layers that format use base/fail.h.
inline std::unexpected<Error> fail(Error error) {
  return std::unexpected<Error>(std::move(error));
}

}  // namespace godwit

#define GODWIT_CONCAT_(a, b) a##b
#define GODWIT_CONCAT(a, b) GODWIT_CONCAT_(a, b)

/// Returns from the enclosing function with the error of `expression` if it failed.
#define GODWIT_TRY(expression)                                                       \
  do {                                                                               \
    auto godwit_try_result = (expression);                                           \
    if (!godwit_try_result) [[unlikely]]                                             \
      return std::unexpected<::godwit::Error>(std::move(godwit_try_result).error()); \
  } while (false)

/// `GODWIT_ASSIGN(auto x, expression);` declares or assigns x, or returns the error of `expression`.
#define GODWIT_ASSIGN(target, expression) \
  GODWIT_ASSIGN_(target, expression, GODWIT_CONCAT(godwit_result_, __LINE__))
#define GODWIT_ASSIGN_(target, expression, name)                      \
  auto name = (expression);                                           \
  if (!name) [[unlikely]]                                             \
    return std::unexpected<::godwit::Error>(std::move(name).error()); \
  target = *std::move(name)
