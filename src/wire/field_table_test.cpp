#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/fail.h"
#include "wire/test_tables.h"

namespace godwit {
namespace {

using namespace wire::test;
using testing::HasSubstr;
using namespace std::literals;

TEST(FieldTable, ScalarsAndArrays) {
  const Simple object{-2, {1, 0x203}, {}, 0, false};
  EXPECT_EQ(saved(simple(), object), "\xff\xff\xff\xfe\0\1\2\3"s);
  EXPECT_EQ(
      described(simple(), object),
      R"("vmsd_name": "simple", "version": 1, "fields": [{"name": "number", "type": "int32", "size": 4}, )"
      R"({"name": "row", "array_len": 2, "type": "uint16", "size": 2}])");
  Simple loaded;
  ASSERT_TRUE(load(simple(), loaded, "\xff\xff\xff\xfe\0\1\2\3"sv));
  EXPECT_EQ(loaded, object);
}

TEST(FieldTable, ErrorsNameFieldOffsetAndExpectation) {
  EXPECT_EQ(load_error(simple(), {}, "\0\0"sv),
            "field number: expected 4 bytes at offset 0x0, the stream ends after 2");
  EXPECT_EQ(load_error(simple(), {}, "\0\0\0\x65"sv),
            "field number: expected -5 to 100 at offset 0x0, got 101");
  EXPECT_EQ(load_error(simple(), {}, "\xff\xff\xff\xfa"sv),
            "field number: expected -5 to 100 at offset 0x0, got -6");
  EXPECT_EQ(load_error(simple(), {}, "\0\0\0\0\0\0\0"sv),
            "field row[1]: expected 2 bytes at offset 0x6, the stream ends after 1");
  const auto outer = FieldTable<Outer>("outer").structure("many", &Outer::many, simple());
  EXPECT_EQ(load_error(outer, {}, std::string(8, 0) + std::string(3, 0)),
            "field many[1].number: expected 4 bytes at offset 0x8, the stream ends after 3");
  const auto subsection = FieldTable<Outer>("outer").subsection(
      FieldTable<Outer>("outer/x").structure("one", &Outer::one, simple()),
      [](const Outer&) { return true; });
  EXPECT_EQ(
      load_error(subsection, {}, "\5\7outer/x\0\0\0\1\0"sv),
      "subsection 'outer/x', field one.number: expected 4 bytes at offset 0xd, the stream ends after 1");
  EXPECT_EQ(load_error(subsection, {}, "\5\7outer/x\0\0\0\2\0"sv),
            "subsection 'outer/x': expected version 1 to 1 at offset 0x9, got 2");
}

TEST(FieldTable, ARefusedValueIsNotStored) {
  Simple object{50, {}, {}, 0, false};
  EXPECT_FALSE(load(simple(), object, "\0\0\0\x65"sv));
  EXPECT_EQ(object.number, 50);
}

TEST(FieldTable, SameNamesAreNumbered) {
  const auto table = FieldTable<Simple>("s")
                         .unused(1)
                         .field("x", &Simple::flag)
                         .unused(2)
                         .field("x", &Simple::count)
                         .when([](const Simple& s) { return s.flag; });
  EXPECT_EQ(
      described(table, {}),
      R"("vmsd_name": "s", "version": 1, "fields": [{"name": "unused[0]", "type": "unused_buffer", "size": 1}, )"
      R"({"name": "x[0]", "type": "bool", "size": 1}, {"name": "unused[1]", "type": "unused_buffer", "size": 2}])");
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
  const auto nested =
      FieldTable<Outer>("o/one/deep").field("deep", [](Outer& o) -> auto& { return o.one.flag; });
  const auto table = FieldTable<Outer>("o")
                         .subsection(FieldTable<Outer>("o/one")
                                         .field("number", [](Outer& o) -> auto& { return o.one.number; })
                                         .subsection(nested, [](const Outer& o) { return o.one.flag; }),
                                     [](const Outer& o) { return o.one.number != 0; })
                         .subsection(FieldTable<Outer>("o/extra", {.version = 2, .minimum_version = 2})
                                         .field("extra", &Outer::extra),
                                     [](const Outer& o) { return o.extra != 0; });
  Outer object;
  EXPECT_EQ(saved(table, object), "");
  EXPECT_EQ(described(table, object), R"("vmsd_name": "o", "version": 1, "fields": [])");
  object.one.number = 1;
  object.one.flag = true;
  object.extra = 2;
  const std::string bytes = "\5\5o/one\0\0\0\1\0\0\0\1\5\x0ao/one/deep\0\0\0\1\1\5\7o/extra\0\0\0\2\0\0\0\2"s;
  EXPECT_EQ(saved(table, object), bytes);
  EXPECT_EQ(
      described(table, object),
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
  EXPECT_EQ(load_error(table, {}, extra + extra),
            "expected subsection 'o/extra' once, it comes again at offset 0x11");
}

TEST(FieldTable, WhatIsNoSubsectionOfTheTableIsLeftUnread) {
  const auto table = FieldTable<Outer>("outer").field("extra", &Outer::extra);
  for (const std::string_view rest :
       {"\5"sv, "\5\5outer"sv, "\5\6inner/x"sv, "\5\7outex/x\0\0\0\1"sv, "\x7e\0\0\0\0"sv, "\5\xff"sv}) {
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
  EXPECT_EQ(table.load(object, in, 2).error().what(), "three is no count (read up to offset 0x2)");
  EXPECT_EQ(calls, (std::vector<std::string>{"pre_load", "post_load 1", "pre_load", "post_load 2"}));
  const auto failing = FieldTable<Simple>("s").pre_save([](Simple&) -> Result<> { return fail("not now"); });
  EXPECT_EQ(saved(failing, Simple{}), "not now");
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
  const auto section = make_section(
      "simple", 3,
      FieldTable<Simple>("simple", {.version = 4, .minimum_version = 2}).field("count", &Simple::count),
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
