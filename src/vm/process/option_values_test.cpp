#include "vm/process/option_values.h"

#include <gmock/gmock.h>

namespace godwit::vm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ParseSize, CountsPlainNumbersInTheUnitAndSuffixesInBytes) {
  constexpr std::uint64_t mebibyte = 1 << 20;
  EXPECT_EQ(parse_size("size", "1536", mebibyte), 1536 * mebibyte);
  EXPECT_EQ(parse_size("size", "1536"), 1536u);
  EXPECT_EQ(parse_size("size", "150M", mebibyte), 150 * mebibyte);
  EXPECT_EQ(parse_size("size", "150m"), 150 * mebibyte);
  EXPECT_EQ(parse_size("size", "1G"), 1024 * mebibyte);
  EXPECT_EQ(parse_size("size", "2.5G"), 2560 * mebibyte);
  EXPECT_EQ(parse_size("size", "0.5", mebibyte), mebibyte / 2);
  EXPECT_EQ(parse_size("size", "65536b", mebibyte), 65536u);
  EXPECT_EQ(parse_size("size", "4k"), 4096u);
  EXPECT_EQ(parse_size("size", "1T"), std::uint64_t{1} << 40);
  EXPECT_EQ(parse_size("size", "1P"), std::uint64_t{1} << 50);
  EXPECT_EQ(parse_size("size", "15E"), std::uint64_t{15} << 60);
  EXPECT_EQ(parse_size("size", "0x100000"), mebibyte);
  EXPECT_EQ(parse_size("size", "0"), 0u);
}

TEST(ParseSize, RefusesWhatIsNotASize) {
  for (const char* text :
       {"", "1x", "M", "-1", "1.5", "16E", "1MM", "1 M", "18446744073709551616", "0x", "nan"}) {
    const auto size = parse_size("size", text);
    ASSERT_FALSE(size) << text;
    EXPECT_THAT(size.error().what(), HasSubstr("Parameter 'size' expects a non-negative number below 2^64"));
  }
}

TEST(ParseUuid, ReadsTheTextForm) {
  const auto uuid = parse_uuid("00112233-4455-6677-8899-aAbbccddeeff");
  ASSERT_TRUE(uuid);
  EXPECT_EQ((*uuid)[0], 0x00);
  EXPECT_EQ((*uuid)[10], 0xaa);
  EXPECT_EQ((*uuid)[15], 0xff);
  EXPECT_EQ(to_text(*uuid), "00112233-4455-6677-8899-aabbccddeeff");
}

TEST(ParseUuid, RefusesOtherShapes) {
  for (const char* text :
       {"", "nope", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeeffa",
        "0011223344-55-6677-8899-aabbccddeeff", "g0112233-4455-6677-8899-aabbccddeeff"})
    EXPECT_FALSE(parse_uuid(text)) << text;
}

TEST(OptionValues, UnderstandsImpliedKeysEscapesAndTrailingCommas) {
  OptionValues values = OptionValues::parse("pc,a=1,,2,b=,", "type");
  EXPECT_EQ(values.take("type"), "pc");
  EXPECT_EQ(values.take("a"), "1,2");
  EXPECT_EQ(values.take("b"), "");
  EXPECT_TRUE(values.finish());
}

TEST(OptionValues, KeepsEqualsSignsInValues) {
  OptionValues values = OptionValues::parse("path=/tmp/a=b");
  EXPECT_EQ(values.take("path"), "/tmp/a=b");
}

TEST(OptionValues, ReadsFlagsInEverySpelling) {
  for (const char* text : {"wait=off", "nowait", "wait=no", "wait=false", "wait=n"}) {
    OptionValues values = OptionValues::parse(text);
    EXPECT_EQ(values.take_flag("wait").value(), std::optional(false)) << text;
    EXPECT_TRUE(values.finish());
  }
  for (const char* text : {"wait=on", "wait", "wait=yes", "wait=true", "wait=y"}) {
    OptionValues values = OptionValues::parse(text);
    EXPECT_EQ(values.take_flag("wait").value(), std::optional(true)) << text;
  }
  OptionValues values = OptionValues::parse("wait=maybe");
  EXPECT_EQ(values.take_flag("wait").error().what(), "Parameter 'wait' expects 'on' or 'off'");
  EXPECT_EQ(OptionValues().take_flag("wait").value(), std::nullopt);
}

TEST(OptionValues, TheLastOfRepeatedKeysCounts) {
  OptionValues values = OptionValues::parse("a=1,b=2,a=3");
  EXPECT_EQ(values.take("a"), "3");
  EXPECT_THAT(values.remaining(), ElementsAre("b"));
}

TEST(OptionValues, NamesWhatNobodyTook) {
  EXPECT_EQ(OptionValues::parse("bogus=1").finish().error().what(), "Invalid parameter 'bogus'");
}

TEST(IsIdentifier, BeginsWithALetter) {
  EXPECT_TRUE(is_identifier("mem0.a-b_c"));
  EXPECT_FALSE(is_identifier("0mem"));
  EXPECT_FALSE(is_identifier("m 1"));
  EXPECT_FALSE(is_identifier(""));
}

}  // namespace
}  // namespace godwit::vm
