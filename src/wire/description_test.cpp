#include "wire/description.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using test::bytes_of;
using testing::HasSubstr;
using namespace std::literals;

std::string error_of(std::string_view json) {
  const auto parsed = parse_description(json);
  return parsed ? "" : parsed.error().what();
}

std::string device(std::string_view state) {
  return R"({"page_size": 4096, "devices": [{"name": "d", "instance_id": 0, )" + std::string(state) + "}]}";
}

TEST(DescriptionParser, ReadsTheGoldenOnes) {
  const auto stream = test::golden("15-pc-machine.bin");
  const auto parsed = parse_description(test::description_of(stream));
  ASSERT_TRUE(parsed) << parsed.error().what();
  EXPECT_EQ(parsed->page_size, 4096u);
  EXPECT_EQ(parsed->devices.size(), 26u);
  EXPECT_EQ(parsed->devices.front().name, "timer");
  EXPECT_EQ(parsed->devices.front().state.length, 24u);
}

TEST(DescriptionParser, OldStyleSectionsHaveOneField) {
  const auto parsed = parse_description(
      R"({"page_size": 4096, "devices": [{"name": "slirp", "instance_id": 0, "size": 9, "fields": [{"name": "data", "size": 9, "type": "buffer"}]}]})");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->devices[0].state.length, 9u);
}

TEST(DescriptionParser, RefusesWhatIsNoDescription) {
  EXPECT_THAT(error_of("{"), HasSubstr("not the JSON that is expected"));
  EXPECT_THAT(error_of("{} x"), HasSubstr("not the JSON that is expected"));
  EXPECT_EQ(error_of("[]"), "description: expected an object");
  EXPECT_EQ(error_of("{}"), "description: expected a member 'page_size'");
  EXPECT_EQ(error_of(R"({"page_size": -1})"),
            "description: member 'page_size': expected a number below 4294967296");
  EXPECT_EQ(error_of(R"({"page_size": 4096, "devices": 1})"),
            "description: expected an array as member 'devices'");
  EXPECT_EQ(error_of(R"({"page_size": 4096, "devices": [1]})"), "description: expected objects in 'devices'");
  EXPECT_EQ(error_of(device(R"("vmsd_name": 3)")),
            "d: description: expected a text of at most 255 bytes as member 'vmsd_name'");
  EXPECT_EQ(error_of(device(R"("vmsd_name": "d", "version": 1, "fields": [{"name": "f", "type": "t"}])")),
            "d: description: expected a member 'size'");
  EXPECT_THAT(error_of(std::string(100, '[') + std::string(100, ']')),
              HasSubstr("not the JSON that is expected"));
  EXPECT_THAT(error_of(std::string(description_text_limit + 1, ' ')),
              HasSubstr("expected at most 16777216 bytes"));
}

TEST(DescriptionParser, SumsDoNotOverflow) {
  std::string fields;
  for (int i = 0; i < 100'000; ++i)
    fields += R"({"name": "f", "array_len": 4294967295, "type": "t", "size": 281474976710655}, )";
  fields += R"({"name": "f", "type": "t", "size": 0})";
  EXPECT_EQ(error_of(device(R"("vmsd_name": "d", "version": 1, "fields": [)" + fields + "]")),
            "d: description: the fields of 'd' are too long");
}

TEST(SplitSection, NamesEveryPiece) {
  const auto parsed = parse_description(device(
      R"("vmsd_name": "d", "version": 1, "fields": [{"name": "a", "type": "uint16", "size": 2}, )"
      R"({"name": "s", "array_len": 2, "type": "struct", "struct": {"vmsd_name": "e", "version": 1, "fields": )"
      R"([{"name": "x", "array_len": 3, "type": "uint8", "size": 1}]}, "size": 3}, )"
      R"({"name": "t", "index": 0, "type": "tmp", "vmsd_name": "t", "version": 0, "fields": [{"name": "y", "type": "bool", "size": 1}], "size": 1}, )"
      R"({"name": "odd", "type": "struct", "struct": {"vmsd_name": "o", "version": 1, "fields": []}, "size": 2}], )"
      R"("subsections": [{"vmsd_name": "d/z", "version": 1, "fields": [{"name": "z", "type": "int8", "size": 1}]}])"));
  ASSERT_TRUE(parsed) << parsed.error().what();
  const std::string body = "aaxxxXXXyoo\5\3d/z\0\0\0\1z"s;
  const auto split = split_section(parsed->devices[0].state, bytes_of(body));
  ASSERT_TRUE(split) << split.error().what();
  std::string text;
  for (const NamedField& field : *split)
    text += field.path + "=" + body.substr(field.offset, field.size * field.array_length) + " ";
  EXPECT_EQ(text, "a=aa s[0].x=xxx s[1].x=XXX t[0].y=y odd=oo d/z.z=z ");

  std::string wrong = body;
  wrong[14] = 'y';
  EXPECT_EQ(split_section(parsed->devices[0].state, bytes_of(wrong)).error().what(),
            "expected subsection 'd/z' at byte 0xb of the body");
  EXPECT_EQ(split_section(parsed->devices[0].state, bytes_of(body.substr(1))).error().what(),
            "expected a body of 21 bytes by the description, got 20");
}

TEST(SplitSection, CannotBeMadeToFillTheMemory) {
  // A megabyte of one-byte structures, each of which has hundreds of long-named nothings.
  std::string nothings;
  for (int i = 0; i < 500; ++i)
    nothings += R"({"name": ")" + std::string(200, 'n') + R"(", "type": "t", "size": 0}, )";
  const auto parsed = parse_description(device(
      R"("vmsd_name": "d", "version": 1, "fields": [{"name": "s", "array_len": 1000000, "type": "struct", "struct": )"
      R"({"vmsd_name": "e", "version": 1, "fields": [)" +
      nothings + R"({"name": "x", "type": "uint8", "size": 1}]}, "size": 1}])"));
  ASSERT_TRUE(parsed) << parsed.error().what();
  EXPECT_FALSE(split_section(parsed->devices[0].state, std::vector<std::byte>(1000000)));
}

TEST(DescriptionWriter, WritesTheFrame) {
  EXPECT_EQ(DescriptionWriter().finish(), R"({"page_size": 4096, "devices": []})");
  DescriptionWriter writer;
  writer.add_device("a", 0, R"("vmsd_name": "a")");
  writer.add_device("0000:00:02.0/b", 1, R"("vmsd_name": "b")");
  EXPECT_EQ(std::move(writer).finish(),
            R"({"page_size": 4096, "devices": [{"name": "a", "instance_id": 0, "vmsd_name": "a"}, )"
            R"({"name": "0000:00:02.0/b", "instance_id": 1, "vmsd_name": "b"}]})");
}

}  // namespace
}  // namespace godwit::wire
