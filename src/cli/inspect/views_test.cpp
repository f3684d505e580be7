// What people and programs see.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/inspect/json.h"
#include "cli/inspect/testing.h"
#include "cli/inspect/text.h"

namespace godwit::cli::inspect {
namespace {

using ::testing::HasSubstr;
using testing::inspect_bytes;
using testing::inspect_golden;
using ::testing::Not;

TextOptions wide() {
  TextOptions options;
  options.canvas.columns = 120;
  return options;
}

TEST(Text, OfAWholeMachine) {
  const std::string text = to_text(inspect_golden("15-pc-machine.bin"), wide());
  EXPECT_THAT(text, HasSubstr("stream     main stream, 56,961 bytes, whole\n"));
  EXPECT_THAT(text, HasSubstr("machine    pc-i440fx-7.2\n"));
  EXPECT_THAT(text, HasSubstr("  pc.ram      8 MiB      2,048          0        0          0   18.0 KiB\n"));
  EXPECT_THAT(text, HasSubstr("        0x4a58              48  SECTION_FULL timer  (id 0, version 2)\n"));
  EXPECT_THAT(
      text,
      HasSubstr("  dma 1  version 1, 75 bytes at 0x55a7\n      mask=255  dshift=1  (30 fields are 0)\n"));
  EXPECT_THAT(text, Not(HasSubstr("broken")));
  std::size_t longest = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    longest = std::max(longest, static_cast<std::size_t>(columns_of(text.substr(at, end - at))));
    at = end + 1;
  }
  EXPECT_LE(longest, 120u);
}

TEST(Text, OfEveryFieldAndOfOneDevice) {
  auto options = wide();
  options.all_fields = true;
  options.device = "i8259";
  const std::string text = to_text(inspect_golden("15-pc-machine.bin"), options);
  EXPECT_THAT(text, HasSubstr("irr=0"));
  EXPECT_THAT(text, HasSubstr("i8259 1  version"));
  EXPECT_THAT(text, Not(HasSubstr("fields are 0")));
  EXPECT_THAT(text, Not(HasSubstr("ioapic")));
  options.device = "unicorn";
  EXPECT_EQ(to_text(inspect_golden("15-pc-machine.bin"), options),
            "no device whose name contains 'unicorn'\n");
}

TEST(Text, IndentsWhatIsInAPackage) {
  const std::string text = to_text(inspect_golden("07-postcopy-to-dst.bin"), wide());
  EXPECT_THAT(text, HasSubstr("  COMMAND PACKAGED, 201 bytes\n"));
  EXPECT_THAT(text, HasSubstr("    COMMAND POSTCOPY_LISTEN\n"));
  EXPECT_THAT(text, HasSubstr("m0: 1 range, 16.0 MiB"));
  EXPECT_THAT(text, HasSubstr("4,088 pages after the guest had moved"));
}

TEST(Text, CutsALongOrder) {
  auto options = wide();
  EXPECT_THAT(to_text(inspect_golden("14-colo-to-dst.bin"), options), HasSubstr("more (--all shows them)"));
  options.all_fields = true;
  EXPECT_THAT(to_text(inspect_golden("14-colo-to-dst.bin"), options), Not(HasSubstr("more (")));
}

TEST(Text, OfABrokenStreamShowsWhatCameAndWhyItStops) {
  auto stream = wire::test::golden("15-pc-machine.bin");
  stream.resize(15000);
  const auto found = inspect_bytes(stream);
  const std::string reason =
      "broken at offset 0x3a97 (14,999): section 'ram' 0: expected 8 bytes at offset 0x3a97, the stream ends "
      "after 1";
  EXPECT_THAT(to_text(found, wide()), HasSubstr(reason));
  EXPECT_THAT(to_text(found, wide()), HasSubstr("pc.ram"));
  EXPECT_EQ(verdict_text(found), "stream: " + reason + "\n");
  EXPECT_EQ(verdict_text(inspect_golden("01-precopy-plain.bin")),
            "stream: whole, main stream, 74,498 bytes\n");
}

TEST(Json, HasTheDocumentedMembers) {
  const auto object = to_json(inspect_golden("15-pc-machine.bin"));
  EXPECT_EQ(object.at("schema").to_number<int>(), 1);
  EXPECT_TRUE(object.at("whole").as_bool());
  EXPECT_TRUE(object.at("problem").is_null());
  EXPECT_EQ(object.at("configuration").at("machine").as_string(), "pc-i440fx-7.2");
  const auto& block = object.at("ram").at("blocks").at(0).as_object();
  EXPECT_EQ(block.at("name").as_string(), "pc.ram");
  EXPECT_EQ(block.at("zero-pages").to_number<int>(), 2048);
  EXPECT_EQ(block.at("distinct-pages").to_number<int>(), 2048);
  const auto& devices = object.at("devices").as_array();
  ASSERT_EQ(devices.size(), 26u);
  const auto& field = devices[0].at("fields").at(0).as_object();
  EXPECT_EQ(field.at("name").as_string(), "cpu_ticks_offset");
  EXPECT_EQ(field.at("type").as_string(), "int64");
  EXPECT_EQ(field.at("value").to_number<std::int64_t>(), 0);
  EXPECT_EQ(object.at("records").at(2).at("kind").as_string(), "SECTION_START");
  EXPECT_EQ(object.at("records").at(2).at("name").as_string(), "ram");
}

TEST(Json, OfEverySampleIsJson) {
  for (const std::string& name : wire::test::golden_names()) {
    const auto text = boost::json::serialize(to_json(inspect_golden(name)));
    EXPECT_TRUE(boost::json::parse(text).is_object()) << name;
  }
}

TEST(Json, SaysWhereAStreamIsBroken) {
  const auto stream = wire::test::golden("01-precopy-plain.bin");
  const auto object = to_json(inspect_bytes(std::span(stream).first(9)));
  EXPECT_FALSE(object.at("whole").as_bool());
  EXPECT_EQ(object.at("problem").at("offset").to_number<int>(), 9);
}

}  // namespace
}  // namespace godwit::cli::inspect
