// Small tables and helpers for the tests of field tables.
#pragma once

#include <array>
#include <cstdint>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <vector>

#include <godwit/field_table.h>

#include "wire/test_stream.h"

namespace godwit::wire::test {

template <typename T>
std::string saved(const FieldTable<T>& table, T object) {
  Output out;
  std::string description;
  const auto result = table.save(object, out, description);
  return result ? std::string(text_of(out.data())) : result.error().what();
}

template <typename T>
std::string described(const FieldTable<T>& table, T object) {
  Output out;
  std::string description;
  EXPECT_TRUE(table.save(object, out, description));
  return description;
}

template <typename T>
Result<> load(const FieldTable<T>& table, T& object, std::string_view bytes) {
  SpanInput in(bytes_of(bytes));
  return table.load(object, in);
}

template <typename T>
std::string load_error(const FieldTable<T>& table, T object, std::string_view bytes) {
  const auto result = load(table, object, bytes);
  return result ? "" : result.error().what();
}

struct Simple {
  std::int32_t number = 0;
  std::array<std::uint16_t, 2> row{};
  std::vector<std::uint8_t> bytes;
  std::uint8_t count = 0;
  bool flag = false;
  bool operator==(const Simple&) const = default;
};
struct Outer {
  Simple one;
  std::array<Simple, 3> many{};
  std::vector<Simple> list;
  std::uint32_t extra = 0;
  bool operator==(const Outer&) const = default;
};

inline FieldTable<Simple> simple() {
  return FieldTable<Simple>("simple")
      .field("number", &Simple::number, in_range(-5, 100))
      .field("row", &Simple::row);
}

}  // namespace godwit::wire::test
