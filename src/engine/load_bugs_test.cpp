// The ways in which streams have broken other loaders, each made by hand: a destination refuses it, says
// where, and has touched nothing outside of what the stream may fill.
#include <array>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <string_view>

#include "engine/testing/none_guest.h"
#include "wire/header.h"
#include "wire/ram.h"
#include "wire/record.h"

namespace godwit::engine {
namespace {

using namespace std::string_view_literals;
using ::testing::HasSubstr;
using testing::load;
using testing::NoneGuest;

constexpr std::uint64_t pages = 4;

/// A device with everything that has gone wrong somewhere: a ring, an array with a count, a table that an
/// index points into, nested subsections.
struct Device {
  std::array<std::uint8_t, 16> ring{};
  std::uint32_t head = 0;
  std::uint32_t count = 0;
  std::int32_t used = 0;  ///< elements of `table`
  std::array<std::uint32_t, 4> table{};
  std::int32_t selected = 0;  ///< in `table`; -1: none
  std::uint32_t length = 0;
  std::vector<std::uint8_t> buffer;
  std::uint8_t depth = 0;
};

constexpr std::uint32_t buffer_limit = 4096;

const FieldTable<Device>& device_table() {
  using Table = FieldTable<Device>;
  static const auto deep = Table("device/more/more").field("depth", &Device::depth);
  static const auto more =
      Table("device/more").field("depth", &Device::depth).subsection(deep, [](const Device& d) {
        return d.depth > 1;
      });
  static const auto table = Table("device")
                                .buffer("ring", &Device::ring)
                                .field("head", &Device::head, in_range(0, 15))
                                .field("count", &Device::count, in_range(0, 16))
                                .field("used", &Device::used, in_range(0, 4))
                                .field("table", &Device::table, counted_by(&Device::used, 4))
                                .field("selected", &Device::selected, in_range(-1, 3))
                                .field("length", &Device::length)
                                .buffer("buffer", &Device::buffer, counted_by(&Device::length, buffer_limit))
                                .subsection(more, [](const Device& d) { return d.depth > 0; });
  return table;
}

/// What is in front of the part that is wrong.
Output beginning() {
  Output out;
  wire::encode_file_header(out);
  wire::encode_configuration(out,
                             {.machine = "none", .target_page_bits = {}, .capabilities = {}, .uuid = {}});
  return out;
}

void start_ram(Output& out) {
  wire::encode_section_header(out, wire::RecordType::section_start, {2, "ram", 0, wire::ram_section_version});
}

void append_block(Output& out, std::string_view name, std::uint64_t length) {
  out.counted_text(name);
  out.be64(length);
}

Output with_ram() {
  Output out = beginning();
  start_ram(out);
  wire::encode_block_list_head(out, pages * page_size);
  append_block(out, "ram", pages * page_size);
  wire::encode_end_of_section(out);
  wire::encode_footer(out, 2);
  return out;
}

/// Up to where pages may follow.
Output with_block_list() {
  Output out = with_ram();
  wire::encode_section_id(out, wire::RecordType::section_part, 2);
  return out;
}

/// Up to where the device's fields begin.
Output with_device(std::uint32_t version = 1) {
  Output out = with_ram();
  wire::encode_section_header(out, wire::RecordType::section_full, {7, "device", 0, version});
  return out;
}

/// The fields of an idle device.
struct Fields {
  std::uint32_t head = 0;
  std::uint32_t count = 0;
  std::uint32_t used = 0;
  std::uint32_t selected = 0;
  std::uint32_t length = 0;
};

Output with_fields(const Fields& fields) {
  Output out = with_device();
  out.zeros(16);
  out.be32(fields.head);
  out.be32(fields.count);
  out.be32(fields.used);
  out.be32(fields.selected);
  out.be32(fields.length);
  return out;
}

class LoadBugs : public ::testing::Test {
 protected:
  LoadBugs() { guest_.sections.push_back(make_section("device", 0, device_table(), device_)); }

  /// The refusal; what follows the wrong part is zeros, so that nothing is refused for its end.
  std::string refusal(Output out, std::size_t behind = 8192) {
    out.zeros(behind);
    const auto loaded = load(guest_, out.data());
    for (std::uint64_t at = 0; at < pages * page_size; ++at)
      if (guest_.ram_blocks()[0].host[at] != std::byte{0}) ADD_FAILURE() << "memory is written at " << at;
    return loaded.result ? "loaded" : loaded.result.error().what();
  }

  static void append_timer(Output& out) {
    wire::encode_section_header(out, wire::RecordType::section_full, {8, "timer", 0, 2});
    out.zeros(24);
    wire::encode_footer(out, 8);
  }
  static void finish(Output& out) {
    wire::encode_footer(out, 7);
    append_timer(out);
    wire::encode_eof(out);
  }

  NoneGuest guest_{"ram", pages};
  Device device_;
};

TEST_F(LoadBugs, AGoodStreamLoads) {
  Output out = with_fields({.head = 15, .count = 16, .used = 0, .selected = 0xffffffff, .length = 3});
  out.text("abc");
  out.u8(5);
  out.counted_text("device/more");
  out.be32(1);
  out.u8(2);
  out.u8(5);
  out.counted_text("device/more/more");
  out.be32(1);
  out.u8(9);
  finish(out);
  const auto loaded = load(guest_, out.data());
  ASSERT_TRUE(loaded.result) << loaded.result.error().what();
  EXPECT_EQ(device_.selected, -1);
  EXPECT_EQ(device_.buffer.size(), 3u);
  EXPECT_EQ(device_.depth, 9);
}

// ---- An end too early: the guest would run with the memory and devices of a machine just switched on

TEST_F(LoadBugs, EndsBeforeRam) {
  Output out = beginning();
  wire::encode_eof(out);
  EXPECT_THAT(refusal(std::move(out)), HasSubstr("expected section 'ram' 0 before offset"));
}

TEST_F(LoadBugs, EndsBeforeADevice) {
  Output out = with_ram();
  append_timer(out);
  wire::encode_eof(out);
  EXPECT_THAT(refusal(std::move(out)), HasSubstr("expected section 'device' 0 before offset"));
}

TEST_F(LoadBugs, ADeviceThatIsNotAlwaysSentMayBeMissing) {
  Device other;
  SectionHooks hooks;
  hooks.is_sent = [] { return false; };
  guest_.sections.push_back(make_section("other", 0, device_table(), other, std::move(hooks)));
  Output out = with_fields({});
  finish(out);
  const auto loaded = load(guest_, out.data());
  EXPECT_TRUE(loaded.result) << loaded.result.error().what();
}

// ---- A length beyond a buffer

TEST_F(LoadBugs, LengthBeyondABuffer) {
  EXPECT_THAT(refusal(with_fields({.length = buffer_limit + 1})),
              HasSubstr("field buffer: expected at most 4096 elements"));
  EXPECT_THAT(refusal(with_fields({.length = 0xffffffff})), HasSubstr("got a count of 4294967295"));
  EXPECT_TRUE(device_.buffer.empty());
}

TEST_F(LoadBugs, LengthOfAPackedPage) {
  Output delta = with_block_list();
  delta.be64(0x40);  // xbzrle
  delta.counted_text("ram");
  delta.u8(1);
  delta.be16(4097);
  EXPECT_THAT(refusal(std::move(delta)), HasSubstr("xbzrle page: expected a length of at most 4096"));
  Output compressed = with_block_list();
  compressed.be64(0x100);
  compressed.counted_text("ram");
  compressed.be32(0x7fffffff);
  EXPECT_THAT(refusal(std::move(compressed)), HasSubstr("compressed page: expected a length from 1 to 4110"));
}

TEST_F(LoadBugs, LengthOfTheMachinesName) {
  Output out;
  wire::encode_file_header(out);
  out.u8(7);
  out.be32(0xffffffff);
  EXPECT_THAT(refusal(std::move(out)), HasSubstr("configuration section: "));
}

TEST_F(LoadBugs, LengthOfACommandAndOfAPackage) {
  Output ping = beginning();
  ping.u8(8);
  ping.be16(2);
  ping.be16(0xffff);
  EXPECT_THAT(refusal(std::move(ping), 70000), HasSubstr("expected"));
  Output package = beginning();
  package.u8(8);
  package.be16(7);
  package.be16(4);
  package.be32(0xffffffff);
  EXPECT_NE(refusal(std::move(package)), "loaded");
}

TEST_F(LoadBugs, LengthOfTheDescription) {
  for (const std::uint32_t length : {wire::description_limit + 1, 0x80000000u, 0xffffffffu}) {
    Output out = with_fields({});
    finish(out);
    out.u8(6);
    out.be32(length);
    EXPECT_THAT(refusal(std::move(out)), HasSubstr("offset 0x")) << length;
  }
  Output within = with_fields({});
  finish(within);
  within.u8(6);
  within.be32(wire::description_limit);
  EXPECT_THAT(refusal(std::move(within)), HasSubstr("the stream ends"));
}

// ---- An index beyond an array

TEST_F(LoadBugs, IndexBeyondAnArray) {
  EXPECT_THAT(refusal(with_fields({.selected = 4})), HasSubstr("field selected: expected -1 to 3"));
  EXPECT_EQ(device_.selected, 0);
}

TEST_F(LoadBugs, CountBeyondAFixedArray) {
  EXPECT_THAT(refusal(with_fields({.used = 5})), HasSubstr("field used: expected 0 to 4"));
}

TEST_F(LoadBugs, AnUncheckedCountIsBoundedByItsArray) {
  struct Trusting {
    std::uint32_t used = 0;
    std::array<std::uint16_t, 2> row{};
    std::uint32_t behind = 0x12345678;
  } device;
  static const auto table = FieldTable<Trusting>("trusting")
                                .field("used", &Trusting::used)
                                .field("row", &Trusting::row, counted_by(&Trusting::used, 1000));
  guest_.sections.push_back(make_section("trusting", 0, table, device));
  Output out = beginning();
  wire::encode_section_header(out, wire::RecordType::section_full, {8, "trusting", 0, 1});
  out.be32(3);
  EXPECT_THAT(refusal(std::move(out)), HasSubstr("field row: expected at most 2 elements"));
  EXPECT_EQ(device.behind, 0x12345678u);
}

// ---- Signs

TEST_F(LoadBugs, NegativeCountsAndIndices) {
  EXPECT_THAT(refusal(with_fields({.used = 0xffffffff})), HasSubstr("field used: expected 0 to 4"));
  EXPECT_THAT(refusal(with_fields({.used = 0x80000000})), HasSubstr("got -2147483648"));
  EXPECT_THAT(refusal(with_fields({.selected = 0xfffffffe})), HasSubstr("got -2"));
  EXPECT_THAT(refusal(with_fields({.head = 0xffffffff})), HasSubstr("field head: expected 0 to 15"));
}

TEST_F(LoadBugs, ANegativeCountWithoutACheckIsALargeOne) {
  struct Signed {
    std::int32_t used = 0;
    std::vector<std::uint8_t> data;
  } device;
  static const auto table = FieldTable<Signed>("signed")
                                .field("used", &Signed::used)
                                .buffer("data", &Signed::data, counted_by(&Signed::used, 64));
  guest_.sections.push_back(make_section("signed", 0, table, device));
  Output out = beginning();
  wire::encode_section_header(out, wire::RecordType::section_full, {8, "signed", 0, 1});
  out.be32(0xffffffff);
  EXPECT_THAT(refusal(std::move(out)), HasSubstr("field data: expected at most 64 elements"));
}

// ---- Rings

TEST_F(LoadBugs, RingIndices) {
  EXPECT_THAT(refusal(with_fields({.head = 16})), HasSubstr("field head: expected 0 to 15"));
  EXPECT_THAT(refusal(with_fields({.count = 17})), HasSubstr("field count: expected 0 to 16"));
}

// ---- Offsets outside a block of RAM

TEST_F(LoadBugs, PagesOutsideTheirBlock) {
  for (const std::uint64_t offset :
       {pages * page_size, std::uint64_t{1} << 32, ~std::uint64_t{0xfff}, std::uint64_t{1} << 63}) {
    Output normal = with_block_list();
    normal.be64(offset | 0x08);
    normal.counted_text("ram");
    EXPECT_THAT(refusal(std::move(normal)), HasSubstr("expected a page below 0x4000")) << offset;
    Output zero = with_block_list();
    zero.be64(offset | 0x02);
    zero.counted_text("ram");
    zero.u8(0xff);
    EXPECT_THAT(refusal(std::move(zero)), HasSubstr("expected a page below 0x4000")) << offset;
  }
}

TEST_F(LoadBugs, ContinuedPagesOutsideTheirBlock) {
  Output out = with_block_list();
  out.be64(0x02);
  out.counted_text("ram");
  out.u8(0);
  out.be64((pages * page_size) | 0x20 | 0x08);
  EXPECT_THAT(refusal(std::move(out)), HasSubstr("expected a page below 0x4000"));
  Output unnamed = with_block_list();
  unnamed.be64(0x20 | 0x08);
  EXPECT_THAT(refusal(std::move(unnamed)), HasSubstr("none was named yet"));
}

TEST_F(LoadBugs, PagesOfBlocksThatAreNot) {
  for (const std::string_view name : {""sv, "ra"sv, "ram2"sv, "ram\0"sv}) {
    Output out = with_block_list();
    out.be64(0x08);
    out.counted_text(name);
    EXPECT_THAT(refusal(std::move(out)), HasSubstr("does not exist here")) << name;
  }
}

TEST_F(LoadBugs, PagesBeforeTheBlockList) {
  Output out = beginning();
  wire::encode_section_id(out, wire::RecordType::section_part, 2);
  out.be64(0x08);
  EXPECT_THAT(refusal(std::move(out)), HasSubstr("was never started"));
}

TEST_F(LoadBugs, BlocksOfAnotherLength) {
  struct Case {
    std::uint64_t total;
    std::uint64_t length;
    std::string_view text;
  };
  for (const auto& [total, length, text] :
       {Case{pages * page_size + page_size, pages * page_size + page_size, "Size mismatch"},
        Case{page_size, pages * page_size, "that the total leaves"},
        Case{~std::uint64_t{0xfff}, ~std::uint64_t{0xfff}, "Size mismatch"},
        Case{page_size, 0xfff, "expected a length in pages"}}) {
    Output out = beginning();
    start_ram(out);
    wire::encode_block_list_head(out, total);
    append_block(out, "ram", length);
    EXPECT_THAT(refusal(std::move(out)), HasSubstr(text)) << length;
  }
}

// ---- Counts of what varies

TEST_F(LoadBugs, EndlessBlockLists) {
  Output out = beginning();
  start_ram(out);
  wire::encode_block_list_head(out, page_size);
  for (unsigned i = 0; i <= wire::block_count_limit; ++i) append_block(out, "b" + std::to_string(i), 0);
  // Nothing is kept of a list: the first block that is not here ends it.
  EXPECT_THAT(refusal(std::move(out)), HasSubstr("RAM block 'b0' of the source does not exist here"));
}

TEST_F(LoadBugs, CapabilitiesWithoutEnd) {
  Output out;
  wire::encode_file_header(out);
  out.u8(7);
  out.be32(4);
  out.text("none");
  out.u8(5);
  out.counted_text("configuration/capabilities");
  out.be32(1);
  out.be32(0xffffffff);
  EXPECT_THAT(refusal(std::move(out)), HasSubstr("expected at most 256 capabilities"));
}

TEST_F(LoadBugs, ABufferThatIsAnnouncedButNeverComes) {
  Output out = with_fields({.length = buffer_limit});
  out.text("short");
  EXPECT_THAT(refusal(std::move(out), 0), HasSubstr("the stream ends"));
}

// ---- Subsections

TEST_F(LoadBugs, NestedSubsectionsWithoutEnd) {
  Output out = with_fields({});
  std::string name = "device/more";
  for (int depth = 0; name.size() < 250; ++depth) {
    out.u8(5);
    out.counted_text(name);
    out.be32(1);
    out.u8(1);
    name += "/more";
  }
  EXPECT_THAT(refusal(std::move(out)), HasSubstr("'device/more/more/more'"));
}

TEST_F(LoadBugs, SubsectionsOverAndOver) {
  Output out = with_fields({});
  for (int i = 0; i < 2; ++i) {
    out.u8(5);
    out.counted_text("device/more");
    out.be32(1);
    out.u8(1);
  }
  EXPECT_THAT(refusal(std::move(out)), HasSubstr("expected subsection 'device/more' once"));
}

TEST_F(LoadBugs, SubsectionsOfAnotherVersion) {
  for (const std::uint32_t version : {0u, 2u, 0xffffffffu}) {
    Output out = with_fields({});
    out.u8(5);
    out.counted_text("device/more");
    out.be32(version);
    EXPECT_THAT(refusal(std::move(out)), HasSubstr("subsection 'device/more': expected version 1 to 1"));
  }
}

TEST_F(LoadBugs, ASubsectionWhoseNameIsLongerThanTheStream) {
  Output out = with_fields({});
  out.u8(5);
  out.u8(255);
  out.text("device/");
  EXPECT_THAT(refusal(std::move(out), 0), HasSubstr("the stream ends"));
}

// ---- Sections

TEST_F(LoadBugs, VersionsOutsideOfWhatIsUnderstood) {
  for (const std::uint32_t version : {0u, 2u, 0x80000000u, 0xffffffffu})
    EXPECT_THAT(refusal(with_device(version)), HasSubstr("versions 1 to 1 understood"));
}

TEST_F(LoadBugs, AFooterOfAnotherSection) {
  Output out = with_fields({});
  wire::encode_footer(out, 8);
  EXPECT_THAT(refusal(std::move(out)), HasSubstr("expected"));
}

TEST_F(LoadBugs, SectionsThatTheMachineDoesNotHave) {
  Output out = beginning();
  wire::encode_section_header(out, wire::RecordType::section_full, {7, "device", 1, 1});
  EXPECT_THAT(refusal(std::move(out)), HasSubstr("no such device"));
  Output again = with_block_list();
  wire::encode_end_of_section(again);
  wire::encode_footer(again, 2);
  start_ram(again);
  EXPECT_THAT(refusal(std::move(again)), HasSubstr("starts a second time"));
}

}  // namespace
}  // namespace godwit::engine
