#include <godwit/field_table.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/fail.h"
#include "wire/test_stream.h"

namespace godwit {
namespace {

using testing::HasSubstr;
using wire::test::bytes_of;
using wire::test::text_of;
using namespace std::literals;

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

FieldTable<Simple> simple() {
  return FieldTable<Simple>("simple").field("number", &Simple::number, in_range(-5, 100)).field("row", &Simple::row);
}

TEST(FieldTable, ScalarsAndArrays) {
  const Simple object{-2, {1, 0x203}, {}, 0, false};
  EXPECT_EQ(saved(simple(), object), "\xff\xff\xff\xfe\0\1\2\3"s);
  EXPECT_EQ(described(simple(), object),
            R"("vmsd_name": "simple", "version": 1, "fields": [{"name": "number", "type": "int32", "size": 4}, )"
            R"({"name": "row", "array_len": 2, "type": "uint16", "size": 2}])");
  Simple loaded;
  ASSERT_TRUE(load(simple(), loaded, "\xff\xff\xff\xfe\0\1\2\3"sv));
  EXPECT_EQ(loaded, object);
}

TEST(FieldTable, ErrorsNameFieldOffsetAndExpectation) {
  EXPECT_EQ(load_error(simple(), {}, "\0\0"sv), "field number: expected 4 bytes at offset 0x0, the stream ends after 2");
  EXPECT_EQ(load_error(simple(), {}, "\0\0\0\x65"sv), "field number: expected -5 to 100 at offset 0x0, got 101");
  EXPECT_EQ(load_error(simple(), {}, "\xff\xff\xff\xfa"sv), "field number: expected -5 to 100 at offset 0x0, got -6");
  EXPECT_EQ(load_error(simple(), {}, "\0\0\0\0\0\0\0"sv),
            "field row[1]: expected 2 bytes at offset 0x6, the stream ends after 1");
  const auto outer = FieldTable<Outer>("outer").structure("many", &Outer::many, simple());
  EXPECT_EQ(load_error(outer, {}, std::string(8, 0) + std::string(3, 0)),
            "field many[1].number: expected 4 bytes at offset 0x8, the stream ends after 3");
  const auto subsection = FieldTable<Outer>("outer").subsection(
      FieldTable<Outer>("outer/x").structure("one", &Outer::one, simple()), [](const Outer&) { return true; });
  EXPECT_EQ(load_error(subsection, {}, "\5\7outer/x\0\0\0\1\0"sv),
            "subsection 'outer/x', field one.number: expected 4 bytes at offset 0xd, the stream ends after 1");
  EXPECT_EQ(load_error(subsection, {}, "\5\7outer/x\0\0\0\2\0"sv),
            "subsection 'outer/x': expected version 1 to 1 at offset 0x9, got 2");
}

TEST(FieldTable, ARefusedValueIsNotStored) {
  Simple object{50, {}, {}, 0, false};
  EXPECT_FALSE(load(simple(), object, "\0\0\0\x65"sv));
  EXPECT_EQ(object.number, 50);
}

TEST(FieldTable, Checks) {
  struct S {
    std::uint64_t value = 0;
  };
  const auto error = [](vmstate::Check check, std::uint64_t value) {
    Output bytes;
    bytes.be64(value);
    return load_error(FieldTable<S>("s").field("value", &S::value, std::move(check)), {}, text_of(bytes.data()));
  };
  EXPECT_EQ(error(in_range(0, ~std::uint64_t{0}), ~std::uint64_t{0}), "");
  EXPECT_THAT(error(in_range(-1, 5), ~std::uint64_t{0}), HasSubstr("expected -1 to 5 at offset 0x0, got 18446744073709551615"));
  EXPECT_EQ(error(one_of({1, 2, 4}), 4), "");
  EXPECT_THAT(error(one_of({1, 2, 4}), 3), HasSubstr("expected one of 1, 2, 4 at offset 0x0, got 3"));
  const auto power = satisfying<std::uint64_t>("a power of two", [](std::uint64_t v) { return std::has_single_bit(v); });
  EXPECT_EQ(error(power, 64), "");
  EXPECT_THAT(error(power, 65), HasSubstr("expected a power of two at offset 0x0, got 65"));
}

TEST(FieldTable, ComparesWithTheCurrentValue) {
  struct S {
    std::int32_t same = 4, most = 10;
    std::uint64_t wide = 1;
  };
  const auto table = FieldTable<S>("s").equal("same", &S::same).at_most_current("most", &S::most).equal("wide", &S::wide);
  EXPECT_EQ(load_error(table, {}, "\0\0\0\4\0\0\0\x0a\0\0\0\0\0\0\0\1"sv), "");
  EXPECT_EQ(load_error(table, {}, "\0\0\0\5"sv), "field same: expected 4 at offset 0x0, got 5");
  EXPECT_EQ(load_error(table, {}, "\0\0\0\4\0\0\0\x0b"sv), "field most: expected 0 to 10 at offset 0x4, got 11");
  EXPECT_EQ(load_error(table, {}, "\0\0\0\4\xff\xff\xff\xff"sv), "field most: expected 0 to 10 at offset 0x4, got -1");
  EXPECT_THAT(described(table, S{}), HasSubstr(R"("type": "int32 equal", "size": 4}, {"name": "most", "type": "int32 le", )"
                                               R"("size": 4}, {"name": "wide", "type": "int64 equal")"));
}

TEST(FieldTable, BoolsAreZeroOrOneInMemory) {
  Simple object;
  const auto table = FieldTable<Simple>("s").field("flag", &Simple::flag);
  ASSERT_TRUE(load(table, object, "\x40"sv));
  EXPECT_TRUE(object.flag);
  EXPECT_EQ(saved(table, object), "\1"s);
}

TEST(FieldTable, SameNamesAreNumbered) {
  const auto table = FieldTable<Simple>("s").unused(1).field("x", &Simple::flag).unused(2).field("x", &Simple::count).when(
      [](const Simple& s) { return s.flag; });
  EXPECT_EQ(described(table, {}), R"("vmsd_name": "s", "version": 1, "fields": [{"name": "unused[0]", "type": "unused_buffer", "size": 1}, )"
                                  R"({"name": "x[0]", "type": "bool", "size": 1}, {"name": "unused[1]", "type": "unused_buffer", "size": 2}])");
}

TEST(FieldTable, CountedVectorsAreBounded) {
  const auto table =
      FieldTable<Simple>("s").field("count", &Simple::count).buffer("bytes", &Simple::bytes, counted_by(&Simple::count, 4));
  Simple object;
  object.bytes = {9, 9, 9, 9, 9, 9, 9, 9};
  ASSERT_TRUE(load(table, object, "\3abc"sv));
  EXPECT_EQ(text_of(std::as_bytes(std::span(object.bytes))), "abc");
  EXPECT_EQ(saved(table, object), "\3abc"s);
  EXPECT_EQ(load_error(table, {}, "\5abcde"sv), "field bytes: expected at most 4 elements at offset 0x1, got a count of 5");
  object.count = 4;  // more than there are
  EXPECT_EQ(saved(table, object), "field bytes: expected at most 3 elements, there are 4");
}

TEST(FieldTable, AHugeCountAllocatesNothingBeforeItsBytes) {
  struct S {
    std::uint64_t count = 0;
    std::vector<std::uint64_t> words;
    std::vector<Simple> structs;
  };
  const auto table = FieldTable<S>("s")
                         .field("count", &S::count)
                         .field("words", &S::words, counted_by(&S::count, std::uint64_t{1} << 60));
  const auto structs = FieldTable<S>("s")
                           .field("count", &S::count)
                           .structure("structs", &S::structs, simple(), counted_by(&S::count, std::uint64_t{1} << 60));
  const std::string bytes = "\x01\0\0\0\0\0\0\0"s + std::string(100, 0);
  S object;
  EXPECT_FALSE(load(table, object, bytes));
  EXPECT_LE(object.words.capacity(), 8192u);
  EXPECT_FALSE(load(structs, object, bytes));
  EXPECT_LE(object.structs.capacity(), 64u);
}

TEST(FieldTable, CountsOfFixedArraysAreBoundedByTheArray) {
  const auto table = FieldTable<Simple>("s").field("count", &Simple::count).field("row", &Simple::row, counted_by(&Simple::count, 100));
  Simple object{0, {1, 2}, {}, 1, false};
  EXPECT_EQ(saved(table, object), "\1\0\1"s);
  EXPECT_EQ(described(table, object), R"("vmsd_name": "s", "version": 1, "fields": [{"name": "count", "type": "uint8", "size": 1}, )"
                                      R"({"name": "row", "type": "uint16", "size": 2}])");
  EXPECT_EQ(load_error(table, {}, "\3\0\0\0\0\0\0"sv), "field row: expected at most 2 elements at offset 0x1, got a count of 3");
}

TEST(FieldTable, ListsHaveMarks) {
  const auto table = FieldTable<Outer>("o").list("list", &Outer::list, simple(), 2);
  Outer object;
  EXPECT_EQ(saved(table, object), "\0"s);
  EXPECT_EQ(described(table, object), R"("vmsd_name": "o", "version": 1, "fields": [{"name": "list", "type": "qtailq", "size": 1}])");
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

TEST(FieldTable, VersionsAndConditions) {
  const auto table = FieldTable<Simple>("s", {.version = 3, .minimum_version = 1})
                         .field("flag", &Simple::flag)
                         .field("count", &Simple::count)
                         .since(2)
                         .field("number", &Simple::number)
                         .when([](const Simple& s) { return s.flag; });
  const Simple without{7, {}, {}, 8, false};
  const Simple with{7, {}, {}, 8, true};
  EXPECT_EQ(saved(table, without), "\0\x08"s);
  EXPECT_EQ(saved(table, with), "\1\x08\0\0\0\7"s);
  Simple object;
  SpanInput old(bytes_of("\1\0\0\0\7"sv));
  ASSERT_TRUE(table.load(object, old, 1));
  EXPECT_EQ(object, (Simple{7, {}, {}, 0, true}));
}

TEST(FieldTable, Subsections) {
  const auto nested = FieldTable<Outer>("o/one/deep").field("deep", [](Outer& o) -> auto& { return o.one.flag; });
  const auto table = FieldTable<Outer>("o")
                         .subsection(FieldTable<Outer>("o/one")
                                         .field("number", [](Outer& o) -> auto& { return o.one.number; })
                                         .subsection(nested, [](const Outer& o) { return o.one.flag; }),
                                     [](const Outer& o) { return o.one.number != 0; })
                         .subsection(FieldTable<Outer>("o/extra", {.version = 2, .minimum_version = 2}).field("extra", &Outer::extra),
                                     [](const Outer& o) { return o.extra != 0; });
  Outer object;
  EXPECT_EQ(saved(table, object), "");
  EXPECT_EQ(described(table, object), R"("vmsd_name": "o", "version": 1, "fields": [])");
  object.one.number = 1;
  object.one.flag = true;
  object.extra = 2;
  const std::string bytes = "\5\5o/one\0\0\0\1\0\0\0\1\5\x0ao/one/deep\0\0\0\1\1\5\7o/extra\0\0\0\2\0\0\0\2"s;
  EXPECT_EQ(saved(table, object), bytes);
  EXPECT_EQ(described(table, object),
            R"("vmsd_name": "o", "version": 1, "fields": [], "subsections": [{"vmsd_name": "o/one", "version": 1, "fields": )"
            R"([{"name": "number", "type": "int32", "size": 4}], "subsections": [{"vmsd_name": "o/one/deep", "version": 1, )"
            R"("fields": [{"name": "deep", "type": "bool", "size": 1}]}]}, {"vmsd_name": "o/extra", "version": 2, "fields": )"
            R"([{"name": "extra", "type": "uint32", "size": 4}]}])");
  Outer loaded;
  ASSERT_TRUE(load(table, loaded, bytes));
  EXPECT_EQ(loaded, object);
  EXPECT_EQ(load_error(table, {}, "\5\5o/two\0\0\0\1"sv),
            "expected a subsection of 'o' that is known here at offset 0x0, got 'o/two'");
  const std::string extra = "\5\7o/extra\0\0\0\2\0\0\0\2"s;
  EXPECT_EQ(load_error(table, {}, extra + extra), "expected subsection 'o/extra' once, it comes again at offset 0x11");
}

TEST(FieldTable, WhatIsNoSubsectionOfTheTableIsLeftUnread) {
  const auto table = FieldTable<Outer>("outer").field("extra", &Outer::extra);
  for (const std::string_view rest : {"\5"sv, "\5\5outer"sv, "\5\6inner/x"sv, "\5\7outex/x\0\0\0\1"sv, "\x7e\0\0\0\0"sv, "\5\xff"sv}) {
    const std::string bytes = "\0\0\0\1"s + std::string(rest);
    SpanInput in(bytes_of(bytes));
    Outer object;
    ASSERT_TRUE(table.load(object, in)) << rest;
    EXPECT_EQ(in.offset(), 4u);
  }
}

TEST(FieldTable, LooksAtNoByteBehindTheSectionThatItNeedNot) {
  // The last bytes a peer sends before it waits for an answer must not make the loader wait for more.
  class Impatient final : public Input {
   public:
    explicit Impatient(std::string_view text) {
      at_ = reinterpret_cast<const std::byte*>(text.data());
      end_ = at_ + text.size();
    }
    bool asked_for_more = false;

   protected:
    Result<> fill(std::size_t count) override {
      asked_for_more = true;
      return ends_early(count);
    }
    Result<std::size_t> read_past_window(std::span<std::byte> into) override {
      asked_for_more = true;
      return ends_early(into.size());
    }
    Result<bool> nothing_follows() override {
      asked_for_more = true;
      return true;
    }
  };
  const auto table = FieldTable<Outer>("outer").field("extra", &Outer::extra);
  Impatient in("\0\0\0\1\5\7in"sv);
  Outer object;
  ASSERT_TRUE(table.load(object, in));
  EXPECT_FALSE(in.asked_for_more);
}

TEST(FieldTable, Hooks) {
  std::vector<std::string> calls;
  const auto table = FieldTable<Simple>("s", {.version = 2, .minimum_version = 1})
                         .field("count", &Simple::count)
                         .pre_save([&](Simple& s) { s.count = 9; })
                         .pre_load([&](Simple& s) {
                           calls.push_back("pre_load");
                           s.flag = true;
                         })
                         .post_load([&](Simple& s, std::uint32_t version) -> Result<> {
                           calls.push_back("post_load " + std::to_string(version));
                           if (s.count == 3) return fail("three is no count");
                           return {};
                         });
  EXPECT_EQ(saved(table, Simple{}), "\x09"s);
  Simple object;
  SpanInput in(bytes_of("\1\3"sv));
  ASSERT_TRUE(table.load(object, in, 1));
  EXPECT_TRUE(object.flag);
  EXPECT_EQ(table.load(object, in, 2).error().what(), "three is no count");
  EXPECT_EQ(calls, (std::vector<std::string>{"pre_load", "post_load 1", "pre_load", "post_load 2"}));
  const auto failing = FieldTable<Simple>("s").pre_save([](Simple&) -> Result<> { return fail("not now"); });
  EXPECT_EQ(saved(failing, Simple{}), "not now");
}

TEST(FieldTable, VersionedStructuresAndTemporaries) {
  const auto inner = FieldTable<Simple>("inner", {.version = 3, .minimum_version = 1})
                         .field("count", &Simple::count)
                         .field("number", &Simple::number)
                         .since(3);
  const auto table = FieldTable<Outer>("o").versioned_structure("one", &Outer::one, inner, 2);
  Outer object;
  object.one.count = 5;
  EXPECT_EQ(saved(table, object), "\5"s);
  EXPECT_EQ(described(table, object),
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
  EXPECT_EQ(load_error(with_temporary, {}, "\0"sv), "field tmp: field low: expected 2 bytes at offset 0x0, the stream ends after 1");
}

TEST(FieldTable, ArraysWhoseElementsDifferAreDescribedOneByOne) {
  const auto element = FieldTable<Simple>("e").field("flag", &Simple::flag).field("count", &Simple::count).when([](const Simple& s) {
    return s.flag;
  });
  const auto table = FieldTable<Outer>("o").structure("many", &Outer::many, element);
  Outer object;
  object.many[1].flag = true;
  EXPECT_THAT(described(table, object),
              HasSubstr(R"({"name": "many", "index": 1, "type": "struct", "struct": {"vmsd_name": "e", "version": 1, "fields": )"
                        R"([{"name": "flag", "type": "bool", "size": 1}, {"name": "count", "type": "uint8", "size": 1}]}, "size": 2})"));
}

TEST(FieldTable, MembersOfBasesAndSpans) {
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
  EXPECT_THAT(described(table, object), HasSubstr(R"({"name": "some", "array_len": 2, "type": "uint8", "size": 1}, )"
                                                  R"({"name": "rest", "type": "buffer", "size": 1})"));
}

TEST(FieldTable, CopiesDoNotChangeEachOther) {
  auto first = FieldTable<Simple>("s").field("count", &Simple::count);
  auto second = first;
  second.field("flag", &Simple::flag);
  EXPECT_EQ(saved(first, Simple{}), "\0"s);
  EXPECT_EQ(saved(second, Simple{}), "\0\0"s);
}

TEST(Section, IsMadeOfATable) {
  Simple object;
  bool before = false, after = false;
  SectionHooks hooks;
  hooks.before_save = [&]() -> Result<> {
    before = true;
    return {};
  };
  hooks.after_load = [&]() -> Result<> {
    after = true;
    return {};
  };
  const auto section = make_section("simple", 3, FieldTable<Simple>("simple", {.version = 4, .minimum_version = 2}).field("count", &Simple::count),
                                    object, hooks);
  EXPECT_EQ(section->identity().name, "simple");
  EXPECT_EQ(section->identity().instance, 3u);
  EXPECT_EQ(section->identity().version, 4u);
  EXPECT_EQ(section->identity().minimum_version, 2u);
  Output out;
  std::string description;
  ASSERT_TRUE(section->save(out, description));
  EXPECT_TRUE(before);
  SpanInput in(bytes_of("\7"sv));
  ASSERT_TRUE(section->load(in, 4));
  EXPECT_TRUE(after);
  EXPECT_EQ(object.count, 7);
}

/// Loads what may be garbage; what loads must save and load again to the same bytes.
RC_GTEST_PROP(FieldTable, WhatLoadsSavesTheSame, (std::vector<std::uint8_t> garbage)) {
  for (const std::string_view name : wire::test::device_names()) {
    // A stream of small values gets through the checks more often than one of all values.
    std::vector<std::uint8_t> bytes = garbage;
    bytes.resize(9000, static_cast<std::uint8_t>(garbage.size() % 3));
    const auto device = wire::test::make_device(name, 0);
    SpanInput in(std::as_bytes(std::span(bytes)));
    if (!device.section->load(in, device.section->identity().version)) continue;
    Output first, second;
    std::string description, again;
    RC_ASSERT(device.section->save(first, description).has_value());
    const auto copy = wire::test::make_device(name, 0);
    SpanInput saved_bytes(first.data());
    RC_ASSERT(copy.section->load(saved_bytes, copy.section->identity().version).has_value());
    RC_ASSERT(saved_bytes.at_end().value());
    RC_ASSERT(copy.section->save(second, again).has_value());
    RC_ASSERT(text_of(first.data()) == text_of(second.data()));
    RC_ASSERT(description == again);
  }
}

}  // namespace
}  // namespace godwit
