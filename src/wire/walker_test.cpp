#include "wire/walker.h"

#include <algorithm>
#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <string>

#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using test::bytes_of;
using test::golden;
using test::options_of;
using test::Recoder;
using test::text_of;
using testing::HasSubstr;
using namespace std::literals;

/// Walks `stream`; what the visitor encoded again, or the error.
Result<> walk(std::span<const std::byte> stream, StreamVisitor& visitor, const WalkOptions& options) {
  SpanInput in(stream);
  return StreamWalker(in, visitor, options).run();
}

/// The text of one device in a description: from its brace to the matching one.
std::string_view device_text(std::string_view json, std::string_view name, std::uint32_t instance) {
  const std::string start =
      "{\"name\": \"" + std::string(name) + "\", \"instance_id\": " + std::to_string(instance) + ",";
  const std::size_t begin = json.find(start);
  if (begin == std::string_view::npos) return {};
  std::size_t end = begin;
  for (int depth = 0; end < json.size();) {
    depth += json[end] == '{' ? 1 : json[end] == '}' ? -1 : 0;
    ++end;
    if (depth == 0) break;
  }
  return json.substr(begin, end - begin);
}

/// Compares each device that has a table with the stream's own description.
class DescriptionChecker final : public Recoder {
 public:
  DescriptionChecker(std::string_view json, const StreamDescription& parsed) : Recoder(parsed), json_(json) {}

  Result<> on_section_data(RecordType type, const SectionHeader& header, Input& in) override {
    const auto device = test::make_device(header.name, header.instance);
    if (!device.section) return Recoder::on_section_data(type, header, in);
    GODWIT_TRY(device.section->load(in, header.version));
    Output bytes;
    std::string state;
    GODWIT_TRY(device.section->save(bytes, state));
    DescriptionWriter writer;
    writer.add_device(header.name, header.instance, state);
    const std::string whole = std::move(writer).finish();
    EXPECT_EQ(device_text(whole, header.name, header.instance),
              device_text(json_, header.name, header.instance));
    names.push_back(header.name);
    return {};
  }
  std::vector<std::string> names;

 private:
  std::string_view json_;
};

TEST(Description, OfEveryKnownDeviceIsThatOfTheSamples) {
  std::map<std::string, int> seen;
  for (const char* name :
       {"01-precopy-plain.bin", "03-config-capabilities-uuid.bin", "12-multifd-none-main.bin",
        "13-background-snapshot.bin", "15-pc-machine.bin", "microvm/kvm-useful.mig", "microvm/tcg-useful.mig",
        "microvm/tcg-min64.mig", "microvm/tcg-acpi.mig"}) {
    const auto stream = golden(name);
    const auto json = test::description_of(stream);
    DescriptionChecker checker(json, parse_description(json).value());
    const auto result = walk(stream, checker, {});
    ASSERT_TRUE(result) << name << ": " << result.error().what();
    for (const std::string& device : checker.names) ++seen[device];
  }
  for (const std::string_view device : test::device_names()) {
    if (device == "zoo") continue;
    EXPECT_GT(seen[std::string(device)], 0) << device;
  }
}

TEST(Description, OfAWholeStreamIsTheSample) {
  for (const char* name : {"01-precopy-plain.bin", "03-config-capabilities-uuid.bin",
                           "06-return-path-to-dst.bin", "13-background-snapshot.bin"}) {
    const auto stream = golden(name);
    Recoder recoder;
    ASSERT_TRUE(walk(stream, recoder, {}));
    EXPECT_EQ(std::move(recoder.description).finish(), test::description_of(stream)) << name;
  }
}

TEST(Description, SplitsEverySectionOfAWholeMachine) {
  class Splitting final : public Recoder {
   public:
    explicit Splitting(const StreamDescription& parsed) : Recoder(parsed), parsed_(parsed) {}
    Result<> on_section_data(RecordType type, const SectionHeader& header, Input& in) override {
      const std::size_t start = out.size();
      GODWIT_TRY(Recoder::on_section_data(type, header, in));
      const auto device = std::ranges::find_if(parsed_.devices, [&](const DeviceDescription& d) {
        return d.name == header.name && d.instance == header.instance;
      });
      GODWIT_ASSIGN(const auto fields, split_section(device->state, out.data().subspan(start)));
      for (const NamedField& field : fields)
        values[header.name + "." + field.path] += field.size * field.array_length;
      return {};
    }
    std::map<std::string, std::uint64_t> values;

   private:
    const StreamDescription& parsed_;
  };
  for (const char* name : {"15-pc-machine.bin", "microvm/kvm-useful.mig", "microvm/tcg-acpi.mig"}) {
    const auto stream = golden(name);
    const auto parsed = parse_description(test::description_of(stream)).value();
    Splitting splitting(parsed);
    const auto result = walk(stream, splitting, {});
    ASSERT_TRUE(result) << result.error().what();
    EXPECT_EQ(splitting.values["timer.cpu_ticks_offset"], 8u);
    EXPECT_EQ(splitting.values["fw_cfg.fw_cfg/dma.dma_addr"], 8u);
    EXPECT_GT(splitting.values["cpu.env.fpregs[7].tmp.tmp_exp"], 0u);
  }
}

/// Builds the RAM that a stream carries.
class Memory final : public Recoder {
 public:
  Result<> on_block_list(std::span<const BlockEntry> blocks) override {
    for (const BlockEntry& block : blocks) ram[block.name].resize(block.length, std::byte{0xcc});
    return {};
  }
  Result<> on_ram_record(const PageRecord& record, const BlockEntry* block, Input& in) override {
    if (block == nullptr) return {};
    const auto page = std::span(ram[block->name]).subspan(record.offset, page_size);
    if (record.kind == PageKind::zero) {
      std::ranges::fill(page, std::byte{record.fill});
      return {};
    }
    return in.read(page);
  }
  std::map<std::string, std::vector<std::byte>> ram;
};

TEST(Walker, CarriesTheRamOfTheSamples) {
  std::vector<std::byte> expected(16 * 1024 * 1024);
  for (const std::size_t page : {0, 1, 2, 5, 100, 101})
    for (std::size_t j = 0; j < page_size; ++j)
      expected[page * page_size + j] = static_cast<std::byte>(7 * j + 13 * page);
  std::ranges::fill(std::span(expected).subspan(16 * page_size, page_size), std::byte{0x41});
  expected[18 * page_size - 1] = std::byte{1};
  std::ranges::fill(std::span(expected).last(page_size), std::byte{0xff});
  for (const char* name :
       {"01-precopy-plain.bin", "02-precopy-noconfig-nofooter-novmdesc.bin", "06-return-path-to-dst.bin"}) {
    Memory memory;
    const auto result = walk(golden(name), memory, options_of(name));
    ASSERT_TRUE(result) << result.error().what();
    EXPECT_TRUE(memory.ram["m0"] == expected) << name;
  }
  Memory snapshot;
  ASSERT_TRUE(walk(golden("13-background-snapshot.bin"), snapshot, {}));
  EXPECT_TRUE(std::ranges::all_of(snapshot.ram["ram"], [](std::byte b) { return b == std::byte{0}; }));
}

/// The error of a stream after the beginning that all have.
std::string error_after_start(std::string_view rest) {
  Output out;
  encode_file_header(out);
  encode_configuration(out, {"none", {}, {}, {}});
  out.text(rest);
  Recoder recoder;
  const auto result = walk(out.data(), recoder, {});
  return result ? "" : result.error().what();
}

TEST(Walker, FollowsTheRulesOfTheRecordLoop) {
  EXPECT_EQ(error_after_start("\0"sv), "");
  EXPECT_THAT(error_after_start("\6"sv), HasSubstr("at offset 0x11, got type byte 0x06"));
  EXPECT_EQ(error_after_start("\2\0\0\0\7"sv),
            "SECTION_PART: expected the id of a section that has started at offset 0x12, got 7");
  EXPECT_EQ(error_after_start("\1\0\0\0\2\3ram\0\0\0\0\0\0\0\5"sv),
            "section 'ram' 0: expected version 4 before offset 0x22, got 5");
  EXPECT_EQ(error_after_start("\4\0\0\0\2\3foo\0\0\0\1\0\0\0\5"sv),
            "section 'foo' 1: expected a section that is known here before offset 0x22");
  EXPECT_EQ(error_after_start("\4\0\0\0\2\5timer\0\0\0\0\0\0\0\3"sv),
            "section 'timer' 0: expected version 1 to 2 before offset 0x24, got 3");
  EXPECT_EQ(
      error_after_start("\4\0\0\0\2\5timer\0\0\0\0\0\0\0\2abc"sv),
      "section 'timer' 0: field cpu_ticks_offset: expected 8 bytes at offset 0x24, the stream ends after 3");
  EXPECT_THAT(error_after_start("\0{"sv), HasSubstr("expected the description or the end of the stream"));
  EXPECT_THAT(error_after_start("\0\6\0\0\0\0x"sv), HasSubstr("description"));
}

TEST(Walker, PackagesEndWhereTheySay) {
  EXPECT_EQ(error_after_start("\x08\0\7\0\4\0\0\0\5\x08\0\4\0\0\0"sv), "");
  EXPECT_THAT(error_after_start("\x08\0\7\0\4\0\0\0\4\x08\0\4\0\0\0"sv),
              HasSubstr("expected the end of the package at offset 0x1e"));
  EXPECT_THAT(error_after_start("\x08\0\7\0\4\0\0\0\5\0"sv), HasSubstr("the stream's end is inside"));
  EXPECT_THAT(error_after_start("\x08\0\7\0\4\0\0\0\x20\x08\0\7\0\4\0\0\0\5"sv),
              HasSubstr("no package inside a package"));
}

/// The error of the first message behind the migration that begins COLO.
std::string colo_error(const ColoMessage& message, std::string_view behind = "") {
  Output rest;
  encode_command(rest, EnableColo{});
  encode_eof(rest);
  encode_colo_message(rest, message);
  rest.text(behind);
  return error_after_start(text_of(rest.data()));
}

TEST(Walker, CheckpointsHaveTheSizeTheySay) {
  constexpr auto size = ColoMessage::Id::vmstate_size;
  EXPECT_EQ(colo_error({size, 1}, "\0"sv), "");
  EXPECT_THAT(colo_error({size, 2}, "\0"sv), HasSubstr("its records end at"));
  EXPECT_THAT(colo_error({size, 0}), HasSubstr("a size that a checkpoint can have"));
  EXPECT_THAT(colo_error({size, ~std::uint64_t{0}}), HasSubstr("a size that a checkpoint can have"));
  EXPECT_THAT(colo_error({ColoMessage::Id::checkpoint_reply, 0}), HasSubstr("a message of the primary"));
}

TEST(Walker, SectionsAreBounded) {
  Output rest;
  for (std::uint32_t id = 0; id <= StreamWalker::section_count_limit; ++id) {
    encode_section_header(rest, RecordType::section_full, {id, "timer", 0, 2});
    rest.zeros(24);
    encode_footer(rest, id);
  }
  EXPECT_THAT(error_after_start(text_of(rest.data())), HasSubstr("expected at most 16384 sections"));
}

TEST(Walker, LinesOfBlocksWithLargePagesNameTheirSize) {
  constexpr std::uint64_t large = 2 << 20;
  Output rest;
  encode_command(rest, PostcopyAdvise{PostcopyAdvise::PageSizes{page_size | large, page_size}});
  encode_section_header(rest, RecordType::section_start, {2, "ram", 0, ram_section_version});
  encode_block_list(rest, std::vector<BlockEntry>{{"a", large, large, {}}, {"b", page_size, {}, {}}});
  encode_end_of_section(rest);
  encode_footer(rest, 2);
  encode_eof(rest);
  EXPECT_EQ(error_after_start(text_of(rest.data())), "");
}

TEST(Walker, AnotherBlockListForgetsTheBlocks) {
  const auto start = [](char id, std::string_view name) {
    return "\1\0\0\0"s + id + "\3ram\0\0\0\0\0\0\0\4"s + "\0\0\0\0\0\0\x10\4\1"s + std::string(name) +
           "\0\0\0\0\0\0\x10\0"s + "\0\0\0\0\0\0\0\x10\x7e\0\0\0"s + id;
  };
  const std::string page = "\2\0\0\0\1\0\0\0\0\0\0\0\2\1a\0\0\0\0\0\0\0\0\x10\x7e\0\0\0\1"s;
  const std::string continued = "\2\0\0\0\1\0\0\0\0\0\0\0\x22\0"s;
  EXPECT_THAT(error_after_start(start(1, "a") + page + start(2, "b") + continued),
              HasSubstr("none was named yet"));
}

/// Everything that is expected of a stream with an error in it.
void expect_error_or_value(std::span<const std::byte> stream, const WalkOptions& options) {
  Recoder recoder;
  const auto result = walk(stream, recoder, options);
  if (result) return;
  const std::string& what = result.error().what();
  // The JSON has positions of its own.
  EXPECT_TRUE(what.contains("offset 0x") || what.contains("description: ")) << what;
}

/// Every byte and bit with GODWIT_EXHAUSTIVE set in the environment, else all of the beginning and the end
/// and a sample of what is between.
std::size_t step_between(std::size_t size, std::size_t samples) {
  return std::getenv("GODWIT_EXHAUSTIVE") != nullptr ? 1 : std::max<std::size_t>(1, size / samples);
}

class Hostile : public testing::TestWithParam<const char*> {};

TEST_P(Hostile, TruncatedAnywhereIsAnError) {
  const auto stream = golden(GetParam());
  const auto options = options_of(GetParam());
  const std::size_t step = step_between(stream.size(), 1500);
  const std::size_t json = test::description_of(stream).size();
  const std::size_t end_without_description = stream.size() - (json == 0 ? 0 : 5 + json);
  for (std::size_t length = 0; length < stream.size();
       length += length < 600 || length + 1200 > stream.size() ? 1 : step) {
    Recoder recoder;
    const auto result = walk(std::span(stream).first(length), recoder, options);
    ASSERT_EQ(result.has_value(), length == end_without_description) << length;
    if (result) continue;
    ASSERT_THAT(result.error().what(), HasSubstr("offset 0x")) << length;
  }
}

TEST_P(Hostile, AFlippedBitIsAnErrorOrAValue) {
  auto stream = golden(GetParam());
  const auto options = options_of(GetParam());
  const std::size_t step = step_between(stream.size(), 150);
  for (std::size_t at = 0; at < stream.size(); at += at < 400 || at + 1000 > stream.size() ? 1 : step) {
    for (int bit = 0; bit < 8; ++bit) {
      stream[at] ^= static_cast<std::byte>(1 << bit);
      expect_error_or_value(stream, options);
      stream[at] ^= static_cast<std::byte>(1 << bit);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Streams, Hostile,
                         testing::Values("01-precopy-plain.bin", "02-precopy-noconfig-nofooter-novmdesc.bin",
                                         "03-config-capabilities-uuid.bin", "13-background-snapshot.bin"),
                         [](const auto& instance) { return std::string(instance.param).substr(0, 2); });

}  // namespace
}  // namespace godwit::wire
