// Every struct and union of the schema survives JSON; every member that is required is missed, every one too
// many refused.
#include <cmath>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <godwit/schema/json.h>

#include "arbitrary.h"

namespace godwit::schema::test {
namespace {

/// What goes wrong when a random T is printed and read again; empty: nothing.
template <typename T>
std::string loss(Arbitrary& arbitrary) {
  T value{};
  arbitrary.fill(value);
  const auto json = to_json(value);
  const auto read = from_json<T>(json);
  if (!read) return read.error().what() + " in " + boost::json::serialize(json);
  return read.value() == value && to_json(read.value()) == json
             ? ""
             : "lost a part of " + boost::json::serialize(json);
}

/// What goes wrong when a random T has a member that is not in the schema; empty: nothing.
template <typename T>
std::string surplus_not_noticed(Arbitrary& arbitrary) {
  T value{};
  arbitrary.fill(value);
  auto json = to_json(value);
  json.as_object()["surplus"] = 1;
  const auto refused = from_json<T>(json);
  if (refused || refused.error().what() != "Parameter 'surplus' is unexpected")
    return "not refused: " + boost::json::serialize(json);
  const auto read = from_json<T>(json, UnknownMembers::ignore);
  return read && read.value() == value ? "" : "not ignored: " + boost::json::serialize(json);
}

RC_GTEST_PROP(RoundTrip, StructsAndUnionsSurviveJson, (std::uint64_t seed)) {
  Arbitrary arbitrary(seed);
  std::string problems;
  for_each_type(AllStructs{}, [&]<typename S>() { problems += loss<S>(arbitrary); });
  for_each_type(AllUnions{}, [&]<typename U>() { problems += loss<U>(arbitrary); });
  RC_ASSERT(problems == std::string());
}

RC_GTEST_PROP(RoundTrip, AMemberTooManyIsRefused, (std::uint64_t seed)) {
  Arbitrary arbitrary(seed);
  std::string problems;
  for_each_type(AllStructs{}, [&]<typename S>() { problems += surplus_not_noticed<S>(arbitrary); });
  for_each_type(AllUnions{}, [&]<typename U>() { problems += surplus_not_noticed<U>(arbitrary); });
  RC_ASSERT(problems == std::string());
}

template <typename T>
constexpr bool is_optional = false;
template <typename T>
constexpr bool is_optional<std::optional<T>> = true;

TEST(RoundTrip, RequiredMembersAreMissedInSchemaOrderAndOptionalOnesAreNot) {
  for_each_type(AllStructs{}, []<typename S>() {
    S value{};
    std::string first_required;
    visit_members(value, [&](const char* name, auto& member) {
      if (!is_optional<std::remove_cvref_t<decltype(member)>> && first_required.empty())
        first_required = name;
    });
    const auto read = from_json<S>(boost::json::object{});
    if (first_required.empty()) {
      ASSERT_TRUE(read) << read.error().what();
      EXPECT_EQ(*read, value);
    } else {
      ASSERT_FALSE(read);
      EXPECT_EQ(read.error().what(), "Parameter '" + first_required + "' is missing");
    }
  });
}

TEST(RoundTrip, EnumsSurviveText) {
  for_each_type(AllEnums{}, []<typename E>() {
    ASSERT_EQ(all_values<E>().size(), value_count<E>);
    for (std::size_t index = 0; index < value_count<E>; ++index) {
      const E value = all_values<E>()[index];
      EXPECT_EQ(static_cast<std::size_t>(value), index);
      EXPECT_EQ(from_string<E>(to_string(value)), value);
      EXPECT_EQ(from_json<E>(to_json(value)), value);
    }
    EXPECT_EQ(from_string<E>("no such value"), std::nullopt);
  });
}

}  // namespace
}  // namespace godwit::schema::test
