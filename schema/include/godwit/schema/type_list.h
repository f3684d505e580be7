// A list of types, and a way to do something for each.
#pragma once

#include <cstddef>

namespace godwit::schema {

template <typename... Types>
struct TypeList {
  static constexpr std::size_t size = sizeof...(Types);
};

/// Calls function.operator()<T>() for each T of the list, in its order:
/// `for_each_type(AllCommands{}, []<typename Command>() { ... });`
template <typename... Types, typename Function>
constexpr void for_each_type(TypeList<Types...>, Function&& function) {
  (function.template operator()<Types>(), ...);
}

}  // namespace godwit::schema
