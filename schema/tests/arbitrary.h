// Random values of any type of the schema.
#pragma once

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include <godwit/schema/members.h>

namespace godwit::schema::test {

/// Fills values from one seed; the same seed gives the same values.
class Arbitrary {
 public:
  explicit Arbitrary(std::uint64_t seed) : random_(seed) {}

  std::uint64_t below(std::uint64_t limit) {
    return std::uniform_int_distribution<std::uint64_t>(0, limit - 1)(random_);
  }

  void fill(bool& value) { value = below(2) == 1; }
  void fill(double& value) {
    value = std::ldexp(static_cast<double>(below(1U << 20)) - 5e5, static_cast<int>(below(40)) - 20);
  }

  template <std::integral T>
    requires(!std::same_as<T, bool>)
  void fill(T& value) {
    const std::array<T, 4> edges{std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), 0, 1};
    value = below(3) == 0 ? edges[below(4)] : static_cast<T>(random_());
  }

  template <typename E>
    requires std::is_enum_v<E>
  void fill(E& value) {
    value = all_values<E>()[below(value_count<E>)];
  }

  void fill(std::string& value) {
    static const std::array<const char*, 6> pieces{"",     "a", "\"\\/", "\n\t", "\u00e9\u20ac\U0001F600",
                                                   "x-y_z"};
    value.clear();
    for (auto count = below(4); count > 0; --count) value += pieces[below(pieces.size())];
  }

  void fill(boost::json::value& value) {
    static const std::array<const char*, 5> samples{"null", "[1, \"x\"]", "{\"a\": {\"b\": null}}", "-7",
                                                    "2.5"};
    value = boost::json::parse(samples[below(samples.size())]);
  }

  template <typename T>
  void fill(std::vector<T>& values) {
    values.clear();
    for (auto count = below(3); count > 0; --count) fill(values.emplace_back());
  }

  template <typename T>
  void fill(std::optional<T>& value) {
    value.reset();
    if (below(2) == 1) fill(value.emplace());
  }

  void fill(StrOrNull& value) { fill(value.value); }
  void fill(Nothing&) {}

  template <typename S>
    requires requires(S& s) { visit_members(s, [](auto, auto&) {}); }
  void fill(S& value) {
    visit_members(value, [this](const char*, auto& member) { fill(member); });
  }

  /// A union: any of its alternatives. Members of the base beside the tag are left to the caller.
  template <typename U>
    requires requires(U& u) { u.u.index(); }
  void fill(U& value) {
    fill_variant(value.u, below(std::variant_size_v<decltype(value.u)>));
  }

 private:
  template <std::size_t index = 0, typename... Types>
  void fill_variant(std::variant<Types...>& variant, std::uint64_t wanted) {
    if constexpr (index < sizeof...(Types)) {
      if (index == wanted) return fill(variant.template emplace<index>());
      fill_variant<index + 1>(variant, wanted);
    }
  }

  std::mt19937_64 random_;
};

}  // namespace godwit::schema::test
