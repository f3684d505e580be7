#include "wire/header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using test::bytes_of;
using testing::HasSubstr;
using namespace std::literals;

const std::array<std::uint8_t, 16> uuid{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
                                        0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};

std::string header_error(std::string_view text) {
  SpanInput in(bytes_of(text));
  const auto result = decode_file_header(in);
  return result ? "" : result.error().what();
}

std::string configuration_error(std::string_view text) {
  SpanInput in(bytes_of(text));
  const auto result = decode_configuration(in);
  return result ? "" : result.error().what();
}

TEST(FileHeader, HasMagicAndVersion) {
  Output out;
  encode_file_header(out);
  EXPECT_EQ(test::text_of(out.data()), "QEVM\0\0\0\3"sv);
  EXPECT_EQ(header_error("QEVM\0\0\0\3"s), "");
}

TEST(FileHeader, RefusesOthers) {
  EXPECT_EQ(header_error("QFVM\0\0\0\3"s),
            "not a migration stream: expected magic 0x5145564d at offset 0x0, got 0x5146564d");
  EXPECT_EQ(header_error("QEVM\0\0\0\2"s), "stream version 2 is obsolete: expected 3 at offset 0x4");
  EXPECT_EQ(header_error("QEVM\0\0\0\4"s),
            "stream version is not supported: expected 3 at offset 0x4, got 4");
}

TEST(ConfigurationSection, WithEveryPart) {
  const Configuration configuration{"none", 16, {"x-ignore-shared"}, uuid};
  Output out;
  encode_configuration(out, configuration);
  SpanInput in(out.data());
  EXPECT_EQ(decode_configuration(in).value(), configuration);
  EXPECT_TRUE(in.at_end().value());
}

TEST(ConfigurationSection, LeavesTheNextRecordAlone) {
  SpanInput in(bytes_of("\x07\0\0\0\4none\x01"sv));
  EXPECT_EQ(decode_configuration(in).value(), (Configuration{"none", {}, {}, {}}));
  EXPECT_EQ(in.offset(), 9u);
}

TEST(ConfigurationSection, RefusesWhatItCannotRead) {
  EXPECT_EQ(configuration_error("\x01"s),
            "configuration section missing: expected type byte 0x07 at offset 0x0, got 0x01");
  EXPECT_EQ(
      configuration_error("\x07\xff\0\0\0"s),
      "configuration section: expected a machine name of at most 1024 bytes at offset 0x1, got 4278190080");
  EXPECT_EQ(configuration_error("\x07\0\0\0\0\x05\x03"
                                "abc\0\0\0\1"s),
            "configuration section: expected a known subsection at offset 0x6, got 'abc'");
  EXPECT_THAT(configuration_error("\x07\0\0\0\0\x05\x12"
                                  "configuration/uuid\0\0\0\2"s),
              HasSubstr("expected version 1 at offset 0x19, got 2"));
  EXPECT_THAT(configuration_error("\x07\0\0\0\0\x05\x1a"
                                  "configuration/capabilities\0\0\0\1\x7f\0\0\0"s),
              HasSubstr("expected at most 256 capabilities at offset 0x25"));
  const std::string once =
      "\x05\x12"
      "configuration/uuid\0\0\0\1"s +
      std::string(16, 'u');
  EXPECT_THAT(configuration_error("\x07\0\0\0\0"s + once + once), HasSubstr("it comes again at offset 0x2e"));
}

TEST(ConfigurationCheck, ComparesTheReceivedLengthOfTheName) {
  const Configuration local{"pc-i440fx-7.2", {}, {}, {}};
  EXPECT_TRUE(check_configuration({"pc-i440fx-7.2", {}, {}, {}}, local));
  EXPECT_TRUE(check_configuration({"pc", {}, {}, {}}, local));
  EXPECT_EQ(check_configuration({"microvm", {}, {}, {}}, local).error().what(),
            "machine type 'microvm' received, this machine is 'pc-i440fx-7.2'");
  EXPECT_FALSE(check_configuration({"pc-i440fx-7.2.1", {}, {}, {}}, local));
}

TEST(ConfigurationCheck, CapabilitiesMustBeTheSame) {
  const Configuration with{"none", {}, {"x-ignore-shared"}, {}};
  const Configuration without{"none", {}, {}, {}};
  EXPECT_TRUE(check_configuration(with, with));
  EXPECT_THAT(check_configuration(with, without).error().what(),
              HasSubstr("'x-ignore-shared' is on at the source"));
  EXPECT_THAT(check_configuration(without, with).error().what(),
              HasSubstr("'x-ignore-shared' is off at the source"));
}

TEST(ConfigurationCheck, UuidsMustMatchIfBothHaveOne) {
  auto other = uuid;
  other[15] = 0;
  const Configuration received{"none", {}, {}, uuid};
  EXPECT_EQ(check_configuration(received, {"none", {}, {}, uuid}).value(), "");
  EXPECT_EQ(check_configuration({"none", {}, {}, {}}, {"none", {}, {}, uuid}).value(), "");
  EXPECT_THAT(check_configuration(received, {"none", {}, {}, {}}).value(), HasSubstr("not compared"));
  EXPECT_EQ(
      check_configuration(received, {"none", {}, {}, other}).error().what(),
      "UUID 123456789abcdef01122334455667788 received, this machine's is 123456789abcdef01122334455667700");
}

TEST(ConfigurationCheck, TargetPages) {
  const Configuration local{"none", {}, {}, {}};
  EXPECT_TRUE(check_configuration({"none", 12, {}, {}}, local));
  EXPECT_FALSE(check_configuration({"none", 16, {}, {}}, local));
}

}  // namespace
}  // namespace godwit::wire
