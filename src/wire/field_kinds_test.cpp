#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fail.h"
#include "wire/test_tables.h"

namespace godwit {
namespace {

using namespace wire::test;
using testing::HasSubstr;
using namespace std::literals;

TEST(FieldKinds, Checks) {
  struct S {
    std::uint64_t value = 0;
  };
  const auto error = [](vmstate::Check check, std::uint64_t value) {
    Output bytes;
    bytes.be64(value);
    return load_error(FieldTable<S>("s").field("value", &S::value, std::move(check)), {},
                      text_of(bytes.data()));
  };
  EXPECT_EQ(error(in_range(0, ~std::uint64_t{0}), ~std::uint64_t{0}), "");
  EXPECT_THAT(error(in_range(-1, 5), ~std::uint64_t{0}),
              HasSubstr("expected -1 to 5 at offset 0x0, got 18446744073709551615"));
  EXPECT_EQ(error(one_of({1, 2, 4}), 4), "");
  EXPECT_THAT(error(one_of({1, 2, 4}), 3), HasSubstr("expected one of 1, 2, 4 at offset 0x0, got 3"));
  const auto power =
      satisfying<std::uint64_t>("a power of two", [](std::uint64_t v) { return std::has_single_bit(v); });
  EXPECT_EQ(error(power, 64), "");
  EXPECT_THAT(error(power, 65), HasSubstr("expected a power of two at offset 0x0, got 65"));
}

TEST(FieldKinds, ComparesWithTheCurrentValue) {
  struct S {
    std::int32_t same = 4, most = 10;
    std::uint64_t wide = 1;
  };
  const auto table =
      FieldTable<S>("s").equal("same", &S::same).at_most_current("most", &S::most).equal("wide", &S::wide);
  EXPECT_EQ(load_error(table, {}, "\0\0\0\4\0\0\0\x0a\0\0\0\0\0\0\0\1"sv), "");
  EXPECT_EQ(load_error(table, {}, "\0\0\0\5"sv), "field same: expected 4 at offset 0x0, got 5");
  EXPECT_EQ(load_error(table, {}, "\0\0\0\4\0\0\0\x0b"sv),
            "field most: expected 0 to 10 at offset 0x4, got 11");
  EXPECT_EQ(load_error(table, {}, "\0\0\0\4\xff\xff\xff\xff"sv),
            "field most: expected 0 to 10 at offset 0x4, got -1");
  EXPECT_THAT(described(table, S{}),
              HasSubstr(R"("type": "int32 equal", "size": 4}, {"name": "most", "type": "int32 le", )"
                        R"("size": 4}, {"name": "wide", "type": "int64 equal")"));
}

TEST(FieldKinds, BoolsAreZeroOrOneInMemory) {
  Simple object;
  const auto table = FieldTable<Simple>("s").field("flag", &Simple::flag);
  ASSERT_TRUE(load(table, object, "\x40"sv));
  EXPECT_TRUE(object.flag);
  EXPECT_EQ(saved(table, object), "\1"s);
}

TEST(FieldKinds, CountedVectorsAreBounded) {
  const auto table = FieldTable<Simple>("s")
                         .field("count", &Simple::count)
                         .buffer("bytes", &Simple::bytes, counted_by(&Simple::count, 4));
  Simple object;
  object.bytes = {9, 9, 9, 9, 9, 9, 9, 9};
  ASSERT_TRUE(load(table, object, "\3abc"sv));
  EXPECT_EQ(text_of(std::as_bytes(std::span(object.bytes))), "abc");
  EXPECT_EQ(saved(table, object), "\3abc"s);
  EXPECT_EQ(load_error(table, {}, "\5abcde"sv),
            "field bytes: expected at most 4 elements at offset 0x1, got a count of 5");
  object.count = 4;  // more than there are
  EXPECT_EQ(saved(table, object), "field bytes: expected at most 3 elements, there are 4");
}

TEST(FieldKinds, AHugeCountAllocatesNothingBeforeItsBytes) {
  struct S {
    std::uint64_t count = 0;
    std::vector<std::uint64_t> words;
    std::vector<Simple> structs;
  };
  const auto table = FieldTable<S>("s")
                         .field("count", &S::count)
                         .field("words", &S::words, counted_by(&S::count, std::uint64_t{1} << 60));
  const auto structs =
      FieldTable<S>("s")
          .field("count", &S::count)
          .structure("structs", &S::structs, simple(), counted_by(&S::count, std::uint64_t{1} << 60));
  const std::string bytes = "\x01\0\0\0\0\0\0\0"s + std::string(100, 0);
  S object;
  EXPECT_FALSE(load(table, object, bytes));
  EXPECT_LE(object.words.capacity(), 8192u);
  EXPECT_FALSE(load(structs, object, bytes));
  EXPECT_LE(object.structs.capacity(), 64u);
}

TEST(FieldKinds, CountsOfFixedArraysAreBoundedByTheArray) {
  const auto table = FieldTable<Simple>("s")
                         .field("count", &Simple::count)
                         .field("row", &Simple::row, counted_by(&Simple::count, 100));
  Simple object{0, {1, 2}, {}, 1, false};
  EXPECT_EQ(saved(table, object), "\1\0\1"s);
  EXPECT_EQ(described(table, object),
            R"("vmsd_name": "s", "version": 1, "fields": [{"name": "count", "type": "uint8", "size": 1}, )"
            R"({"name": "row", "type": "uint16", "size": 2}])");
  EXPECT_EQ(load_error(table, {}, "\3\0\0\0\0\0\0"sv),
            "field row: expected at most 2 elements at offset 0x1, got a count of 3");
}

TEST(FieldKinds, ListsHaveMarks) {
  const auto table = FieldTable<Outer>("o").list("list", &Outer::list, simple(), 2);
  Outer object;
  EXPECT_EQ(saved(table, object), "\0"s);
  EXPECT_EQ(described(table, object),
            R"("vmsd_name": "o", "version": 1, "fields": [{"name": "list", "type": "qtailq", "size": 1}])");
  object.list = {Simple{1, {2, 3}, {}, 0, false}};
  EXPECT_EQ(saved(table, object), "\1\0\0\0\1\0\2\0\3\0"s);
  Outer loaded;
  loaded.list.resize(7);
  ASSERT_TRUE(load(table, loaded, "\1\0\0\0\1\0\2\0\3\0"sv));
  EXPECT_EQ(loaded, object);
  EXPECT_EQ(load_error(table, {}, "\2"sv), "field list[0]: expected the mark 0 or 1 at offset 0x0, got 2");
  const std::string element = "\1"s + std::string(8, 0);
  EXPECT_EQ(load_error(table, {}, element + element + element),
            "field list[2]: expected at most 2 elements, got one more at offset 0x12");
}

TEST(FieldKinds, VersionedStructuresAndTemporaries) {
  const auto inner = FieldTable<Simple>("inner", {.version = 3, .minimum_version = 1})
                         .field("count", &Simple::count)
                         .field("number", &Simple::number)
                         .since(3);
  const auto table = FieldTable<Outer>("o").versioned_structure("one", &Outer::one, inner, 2);
  Outer object;
  object.one.count = 5;
  EXPECT_EQ(saved(table, object), "\5"s);
  EXPECT_EQ(
      described(table, object),
      R"("vmsd_name": "o", "version": 1, "fields": [{"name": "one", "type": "vstruct", "vmsd_name": "inner", "version": 2, )"
      R"("fields": [{"name": "count", "type": "uint8", "size": 1}], "size": 1}])");

  struct Half {
    std::uint16_t low = 0;
  };
  const auto with_temporary = FieldTable<Simple>("s").temporary(
      FieldTable<Half>("half").field("low", &Half::low),
      [](const Simple& s) { return Half{static_cast<std::uint16_t>(s.number)}; },
      [](Simple& s, const Half& half) -> Result<> {
        if (half.low == 0) return fail("low: expected more than 0");
        s.number = half.low;
        return {};
      });
  EXPECT_EQ(saved(with_temporary, Simple{0x50003, {}, {}, 0, false}), "\0\3"s);
  EXPECT_EQ(load_error(with_temporary, {}, "\0\0"sv), "field tmp: low: expected more than 0");
  EXPECT_EQ(load_error(with_temporary, {}, "\0"sv),
            "field tmp: field low: expected 2 bytes at offset 0x0, the stream ends after 1");
}

TEST(FieldKinds, ArraysWhoseElementsDifferAreDescribedOneByOne) {
  const auto element = FieldTable<Simple>("e")
                           .field("flag", &Simple::flag)
                           .field("count", &Simple::count)
                           .when([](const Simple& s) { return s.flag; });
  const auto table = FieldTable<Outer>("o").structure("many", &Outer::many, element);
  Outer object;
  object.many[1].flag = true;
  EXPECT_THAT(
      described(table, object),
      HasSubstr(
          R"({"name": "many", "index": 1, "type": "struct", "struct": {"vmsd_name": "e", "version": 1, "fields": )"
          R"([{"name": "flag", "type": "bool", "size": 1}, {"name": "count", "type": "uint8", "size": 1}]}, "size": 2})"));
}

TEST(FieldKinds, MembersOfBasesAndSpans) {
  struct Base {
    std::uint8_t first = 0;
    std::array<std::uint8_t, 4> all{};
  };
  struct Other {
    std::uint64_t padding = 0;
  };
  struct Derived : Other, Base {};
  const auto table = FieldTable<Derived>("d")
                         .field("first", &Derived::first)
                         .field("some", [](Derived& d) { return std::span(d.all).subspan(1, 2); })
                         .buffer("rest", [](Derived& d) { return std::span(d.all).last(1); });
  Derived object;
  object.first = 1;
  object.all = {2, 3, 4, 5};
  EXPECT_EQ(saved(table, object), "\1\3\4\5"s);
  EXPECT_THAT(described(table, object),
              HasSubstr(R"({"name": "some", "array_len": 2, "type": "uint8", "size": 1}, )"
                        R"({"name": "rest", "type": "buffer", "size": 1})"));
}

}  // namespace
}  // namespace godwit
