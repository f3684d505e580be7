// to_json and from_json for every type of the schema, and the checked reader behind them.
//
// Reading reports the first mistake in the words of control-plane section 2: members in schema order, each
// before the next, then members the schema does not have. Thread contract: pure functions. Errors: generic,
// no side, no advice.
#pragma once

#include <boost/json.hpp>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <godwit/result.h>
#include <godwit/schema/types.h>

namespace godwit::schema {

/// What to do about members the schema does not have. A server refuses them; a client of a newer server
/// ignores them.
enum class UnknownMembers : std::uint8_t { refuse, ignore };

namespace detail {

/// Where in the arguments a value stands. Lives on the stack of the functions that read; built into text on
/// error only.
struct Place {
  const Place* parent = nullptr;
  std::string_view name{};  ///< of a member; empty for an element of an array and for the outermost value
  std::size_t index = 0;    ///< of an element
  UnknownMembers unknown_members = UnknownMembers::refuse;

  Place member(std::string_view member_name) const { return {this, member_name, 0, unknown_members}; }
  Place element(std::size_t element_index) const { return {this, {}, element_index, unknown_members}; }

  /// "capabilities[0].state"; "null" for the outermost value.
  std::string path() const;
  /// "state"; "null" for what has no name of its own.
  std::string_view own_name() const { return name.empty() ? "null" : name; }
};

std::unexpected<Error> wrong_type(const Place& place, std::string_view expected);
std::unexpected<Error> out_of_range(const Place& place, std::string_view type);
std::unexpected<Error> not_accepted(const Place& place, std::string_view value);

Result<std::string_view> read_enum_text(const Place& place, const boost::json::value& json);
Result<std::uint64_t> read_unsigned(const Place& place, const boost::json::value& json, std::uint64_t most,
                                    std::string_view type);
Result<std::int64_t> read_signed(const Place& place, const boost::json::value& json, std::int64_t least,
                                 std::int64_t most, std::string_view type);

Result<> read(const Place& place, const boost::json::value& json, bool& value);
Result<> read(const Place& place, const boost::json::value& json, double& value);
Result<> read(const Place& place, const boost::json::value& json, std::string& value);
Result<> read(const Place& place, const boost::json::value& json, boost::json::value& value);
Result<> read(const Place& place, const boost::json::value& json, boost::json::object& value);
Result<> read_or_null(const Place& place, const boost::json::value& json, std::optional<std::string>& value,
                      std::string_view type);

template <typename T>
constexpr std::string_view integer_name() {
  constexpr bool is_signed = std::signed_integral<T>;
  if constexpr (sizeof(T) == 1) return is_signed ? "int8_t" : "uint8_t";
  if constexpr (sizeof(T) == 2) return is_signed ? "int16_t" : "uint16_t";
  if constexpr (sizeof(T) == 4) return is_signed ? "int32_t" : "uint32_t";
  return is_signed ? "int64_t" : "uint64_t";
}

template <std::integral T>
  requires(!std::same_as<T, bool>)
Result<> read(const Place& place, const boost::json::value& json, T& value) {
  using Limits = std::numeric_limits<T>;
  if constexpr (std::signed_integral<T>) {
    GODWIT_ASSIGN(const auto number,
                  read_signed(place, json, Limits::min(), Limits::max(), integer_name<T>()));
    value = static_cast<T>(number);
  } else {
    GODWIT_ASSIGN(const auto number, read_unsigned(place, json, Limits::max(), integer_name<T>()));
    value = static_cast<T>(number);
  }
  return {};
}

template <typename E>
  requires std::is_enum_v<E>
Result<> read(const Place& place, const boost::json::value& json, E& value) {
  GODWIT_ASSIGN(const auto text, read_enum_text(place, json));
  const auto found = from_string<E>(text);
  if (!found) return not_accepted(place, text);
  value = *found;
  return {};
}

template <typename T>
Result<> read(const Place& place, const boost::json::value& json, std::vector<T>& values) {
  const auto* array = json.if_array();
  if (array == nullptr) return wrong_type(place, "array");
  values.clear();
  values.reserve(array->size());
  for (std::size_t index = 0; index < array->size(); ++index)
    GODWIT_TRY(read(place.element(index), (*array)[index], values.emplace_back()));
  return {};
}

/// Reads the members of one object, in the order of the calls.
class ObjectReader {
 public:
  /// Keeps references to both; they must live as long as the reader.
  ObjectReader(const Place& place, const boost::json::object& object) : place_(place), object_(object) {}

  template <typename T>
  Result<> required(std::string_view name, T& value) {
    const auto* json = take(name);
    if (json == nullptr) return missing(name);
    return read(place_.member(name), *json, value);
  }

  template <typename T>
  Result<> optional(std::string_view name, std::optional<T>& value) {
    value.reset();
    const auto* json = take(name);
    if (json == nullptr) return {};
    return read(place_.member(name), *json, value.emplace());
  }

  /// Fails if there is a member that nobody took.
  Result<> finish() const;

 private:
  const boost::json::value* take(std::string_view name);
  std::unexpected<Error> missing(std::string_view name) const;

  const Place& place_;
  const boost::json::object& object_;
  std::vector<std::string_view> taken_;
};

/// Adds the members of one object, in the order of the calls.
class ObjectWriter {
 public:
  template <typename T>
  void member(std::string_view name, const T& value);
  template <typename T>
  void member(std::string_view name, const std::optional<T>& value) {
    if (value) member(name, *value);
  }

  boost::json::object object{};
};

inline void write_members(ObjectWriter&, const Nothing&) {}
inline Result<> read_members(ObjectReader&, Nothing&) {
  return {};
}

template <typename T>
concept HasMembers = requires(ObjectReader& reader, ObjectWriter& writer, T& value) {
  read_members(reader, value);
  write_members(writer, value);
};

template <HasMembers T>
Result<> read(const Place& place, const boost::json::value& json, T& value) {
  const auto* object = json.if_object();
  if (object == nullptr) return wrong_type(place, "object");
  ObjectReader reader(place, *object);
  GODWIT_TRY(read_members(reader, value));
  return reader.finish();
}

}  // namespace detail

template <typename T>
  requires std::same_as<T, bool> || std::same_as<T, double>
boost::json::value to_json(T value) {
  return value;
}
inline boost::json::value to_json(const std::string& value) {
  return boost::json::string_view(value);
}

template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>)
boost::json::value to_json(T value) {
  return std::uint64_t{value};
}

template <std::signed_integral T>
boost::json::value to_json(T value) {
  return std::int64_t{value};
}

template <typename E>
  requires std::is_enum_v<E>
boost::json::value to_json(E value) {
  const auto name = to_string(value);
  return boost::json::string_view(name.data(), name.size());
}

/// JSON that is passed through.
template <typename T>
  requires std::same_as<T, boost::json::value> || std::same_as<T, boost::json::object>
boost::json::value to_json(const T& value) {
  return value;
}

/// A struct or union of the schema: an object; unset members are left out.
template <detail::HasMembers T>
boost::json::value to_json(const T& value) {
  detail::ObjectWriter writer;
  write_members(writer, value);
  return std::move(writer.object);
}

template <typename T>
boost::json::value to_json(const std::vector<T>& values) {
  boost::json::array array;
  array.reserve(values.size());
  for (const auto& value : values) array.push_back(to_json(value));
  return array;
}

/// Reads a T, which is any type of the schema, a built-in one, or a vector of such.
template <typename T>
Result<T> from_json(const boost::json::value& json, UnknownMembers unknown_members = UnknownMembers::refuse) {
  T value{};
  GODWIT_TRY(detail::read(detail::Place{.unknown_members = unknown_members}, json, value));
  return value;
}

/// The same for the arguments of a command.
template <typename T>
Result<T> from_json(const boost::json::object& json,
                    UnknownMembers unknown_members = UnknownMembers::refuse) {
  T value{};
  const detail::Place place{.unknown_members = unknown_members};
  if constexpr (std::same_as<T, boost::json::object>) {
    value = json;
  } else {
    detail::ObjectReader reader(place, json);
    GODWIT_TRY(read_members(reader, value));
    GODWIT_TRY(reader.finish());
  }
  return value;
}

template <typename T>
void detail::ObjectWriter::member(std::string_view name, const T& value) {
  object.emplace(boost::json::string_view(name.data(), name.size()), to_json(value));
}

}  // namespace godwit::schema
