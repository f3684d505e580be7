#include <algorithm>

#include <godwit/schema/json_support.h>

#include "base/fail.h"

namespace godwit::schema {
namespace {

std::string_view view(const boost::json::string& text) {
  return {text.data(), text.size()};
}
std::string_view view(boost::json::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

namespace detail {

std::string Place::path() const {
  if (parent == nullptr) return "null";
  const bool outermost = parent->parent == nullptr;
  if (name.empty()) return fmt::format("{}[{}]", outermost ? "" : parent->path(), index);
  return outermost ? std::string(name) : fmt::format("{}.{}", parent->path(), name);
}

std::unexpected<Error> wrong_type(const Place& place, std::string_view expected) {
  return fail("Invalid parameter type for '{}', expected: {}", place.path(), expected);
}

std::unexpected<Error> out_of_range(const Place& place, std::string_view type) {
  return fail("Parameter '{}' expects {}", place.own_name(), type);
}

std::unexpected<Error> not_accepted(const Place& place, std::string_view value) {
  return fail("Parameter '{}' does not accept value '{}'", place.own_name(), value);
}

Result<std::string_view> read_enum_text(const Place& place, const boost::json::value& json) {
  if (const auto* text = json.if_string()) return view(*text);
  return wrong_type(place, "string");
}

Result<std::uint64_t> read_unsigned(const Place& place, const boost::json::value& json, std::uint64_t most,
                                    std::string_view type) {
  std::uint64_t number = 0;
  if (const auto* positive = json.if_uint64()) {
    number = *positive;
  } else if (const auto* any_sign = json.if_int64()) {
    number = static_cast<std::uint64_t>(
        *any_sign);  // a negative number wraps, as clients rely on (-1 is "no limit")
  } else {
    return fail("Parameter '{}' expects uint64", place.path());
  }
  if (number > most) return out_of_range(place, type);
  return number;
}

Result<std::int64_t> read_signed(const Place& place, const boost::json::value& json, std::int64_t least,
                                 std::int64_t most, std::string_view type) {
  std::int64_t number = 0;
  if (const auto* any_sign = json.if_int64()) {
    number = *any_sign;
  } else if (const auto* positive = json.if_uint64();
             positive != nullptr && std::in_range<std::int64_t>(*positive)) {
    number = static_cast<std::int64_t>(*positive);
  } else {
    return wrong_type(place, "integer");
  }
  if (number < least || number > most) return out_of_range(place, type);
  return number;
}

Result<> read(const Place& place, const boost::json::value& json, bool& value) {
  const auto* found = json.if_bool();
  if (found == nullptr) return wrong_type(place, "boolean");
  value = *found;
  return {};
}

Result<> read(const Place& place, const boost::json::value& json, double& value) {
  if (!json.is_number()) return wrong_type(place, "number");
  value = json.is_double()  ? json.get_double()
          : json.is_int64() ? static_cast<double>(json.get_int64())
                            : static_cast<double>(json.get_uint64());
  return {};
}

Result<> read(const Place& place, const boost::json::value& json, std::string& value) {
  const auto* found = json.if_string();
  if (found == nullptr) return wrong_type(place, "string");
  value = view(*found);
  return {};
}

Result<> read(const Place&, const boost::json::value& json, boost::json::value& value) {
  value = json;
  return {};
}

Result<> read(const Place& place, const boost::json::value& json, boost::json::object& value) {
  const auto* found = json.if_object();
  if (found == nullptr) return wrong_type(place, "object");
  value = *found;
  return {};
}

Result<> read_or_null(const Place& place, const boost::json::value& json, std::optional<std::string>& value,
                      std::string_view type) {
  value.reset();
  if (json.is_null()) return {};
  const auto* found = json.if_string();
  if (found == nullptr) return wrong_type(place, type);
  value = view(*found);
  return {};
}

const boost::json::value* ObjectReader::take(std::string_view name) {
  const auto* json = object_.if_contains(boost::json::string_view(name.data(), name.size()));
  if (json != nullptr) taken_.push_back(name);
  return json;
}

std::unexpected<Error> ObjectReader::missing(std::string_view name) const {
  return fail("Parameter '{}' is missing", place_.member(name).path());
}

Result<> ObjectReader::finish() const {
  if (taken_.size() == object_.size() || place_.unknown_members == UnknownMembers::ignore) return {};
  for (const auto& member : object_) {
    const auto name = view(member.key());
    if (std::ranges::find(taken_, name) == taken_.end())
      return fail("Parameter '{}' is unexpected", place_.member(name).path());
  }
  return {};
}

}  // namespace detail

}  // namespace godwit::schema
