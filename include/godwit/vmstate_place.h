// Where a field of a FieldTable is inside its object, from a pointer to a member or a function.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <type_traits>
#include <vector>

#include <godwit/vmstate.h>

namespace godwit::vmstate {

template <typename T>
concept ScalarType = std::integral<T> || std::is_enum_v<T>;
template <typename T>
concept ByteType = std::same_as<T, std::uint8_t> || std::same_as<T, std::byte> || std::same_as<T, char>;

/// Arrays of any depth count as one row of their innermost elements.
template <typename M>
struct Shape {
  using Element = M;
  static constexpr std::size_t count = 1;
  static constexpr bool is_array = false;
};
template <typename M, std::size_t n>
struct Shape<std::array<M, n>> {
  using Element = typename Shape<M>::Element;
  static constexpr std::size_t count = n * Shape<M>::count;
  static constexpr bool is_array = true;
};
template <typename M, std::size_t n>
struct Shape<M[n]> : Shape<std::array<M, n>> {};

template <typename M>
struct VectorOf : std::false_type {};
template <typename E, typename A>
struct VectorOf<std::vector<E, A>> : std::true_type {};
template <typename M>
struct SpanOf : std::false_type {};
template <typename E>
struct SpanOf<std::span<E>> : std::true_type {};

/// A place together with the type of its elements.
template <typename E>
struct TypedPlace : Place {
  using Element = E;
};

template <typename T, typename M>
auto place_of_vector(std::function<M&(T&)> at) {
  TypedPlace<typename M::value_type> place;
  place.stride = sizeof(typename M::value_type);
  place.is_array = true;
  place.locate = [at](std::byte* object) {
    M& vector = at(*reinterpret_cast<T*>(object));
    return Elements{reinterpret_cast<std::byte*>(vector.data()), vector.size()};
  };
  place.resize = [at](std::byte* object, std::size_t count) {
    at(*reinterpret_cast<T*>(object)).resize(count);
  };
  return place;
}

template <typename T, typename M, typename C>
  requires std::derived_from<T, C>
auto place_of(M C::* member) {
  if constexpr (VectorOf<M>::value) {
    return place_of_vector<T, M>([member](T& object) -> M& { return object.*member; });
  } else {
    M T::* own = member;
    using S = Shape<M>;
    TypedPlace<typename S::Element> place;
    // A pointer to a data member is the member's offset (Itanium C++ ABI).
    place.offset = std::bit_cast<std::ptrdiff_t>(own);
    place.count = S::count;
    place.stride = sizeof(typename S::Element);
    place.is_array = S::is_array;
    return place;
  }
}

template <typename T, std::invocable<T&> F>
  requires(!std::is_member_pointer_v<F>)
auto place_of(F at) {
  using R = std::invoke_result_t<F, T&>;
  if constexpr (SpanOf<R>::value) {
    using E = typename R::element_type;
    TypedPlace<E> place;
    place.stride = sizeof(E);
    place.is_array = true;
    place.locate = [at](std::byte* object) {
      const R span = at(*reinterpret_cast<T*>(object));
      return Elements{reinterpret_cast<std::byte*>(span.data()), span.size()};
    };
    return place;
  } else {
    static_assert(std::is_lvalue_reference_v<R>, "the function returns a reference or a span");
    using M = std::remove_reference_t<R>;
    if constexpr (VectorOf<M>::value) {
      return place_of_vector<T, M>(at);
    } else {
      using S = Shape<M>;
      TypedPlace<typename S::Element> place;
      place.stride = sizeof(typename S::Element);
      place.is_array = S::is_array;
      place.locate = [at](std::byte* object) {
        return Elements{reinterpret_cast<std::byte*>(&at(*reinterpret_cast<T*>(object))), S::count};
      };
      return place;
    }
  }
}

}  // namespace godwit::vmstate
