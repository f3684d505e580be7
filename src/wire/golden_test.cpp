// Every recorded stream is read to its last byte, and encodes to the same bytes again.
#include <algorithm>
#include <bit>
#include <cctype>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include "wire/field_value.h"
#include "wire/return_path.h"
#include "wire/stream_kind.h"
#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using test::golden;
using test::options_of;
using test::Recoder;
using testing::HasSubstr;

std::string printable(std::string name) {
  std::ranges::replace_if(name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
}

std::vector<std::string> names_of(std::initializer_list<StreamKind> kinds) {
  std::vector<std::string> names;
  for (const std::string& name : test::golden_names()) {
    const auto stream = golden(name);
    SpanInput in(stream);
    const auto kind = detect_stream_kind(in);
    // What cannot be told apart is a main stream here, and fails there.
    if (std::ranges::find(kinds, kind.value_or(StreamKind::main)) != kinds.end()) names.push_back(name);
  }
  return names;
}

class MainStream : public testing::TestWithParam<std::string> {};

TEST_P(MainStream, IsReadToItsLastByteAndEncodesToTheSame) {
  const std::string name = GetParam();
  const auto stream = golden(name);
  const auto json = test::description_of(stream);
  Recoder recoder(parse_description(json).value_or(StreamDescription{}));
  const WalkOptions options = options_of(name);
  recoder.footers = options.footers.value();
  recoder.recovery = !options.file_header;
  recoder.find_footers = true;
  SpanInput in(stream);
  const auto result = StreamWalker(in, recoder, options).run();
  if (name.contains("conn0")) {
    // Cut in the middle, where the connection broke.
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().what(), HasSubstr("the stream ends"));
    EXPECT_LE(stream.size() - recoder.out.size(), page_size + page_header_limit);
    EXPECT_TRUE(std::ranges::equal(recoder.out.data(), std::span(stream).first(recoder.out.size())));
    return;
  }
  ASSERT_TRUE(result) << result.error().what();
  EXPECT_EQ(in.offset(), stream.size());
  EXPECT_TRUE(std::ranges::equal(recoder.out.data(), stream));
}

TEST_P(MainStream, IsReadTheSameWithoutBeingToldItsForm) {
  const std::string name = GetParam();
  const auto stream = golden(name);
  WalkOptions options;
  options.file_header = options_of(name).file_header;
  options.configuration = options.file_header ? std::nullopt : std::optional(false);
  options.footers.reset();
  Recoder told(parse_description(test::description_of(stream)).value_or(StreamDescription{}));
  Recoder untold = told;
  told.find_footers = untold.find_footers = true;
  SpanInput first(stream);
  test::PiecewiseInput second(stream, 1021);
  const auto one = StreamWalker(first, told, options_of(name)).run();
  const auto other = StreamWalker(second, untold, options).run();
  EXPECT_EQ(one.has_value(), other.has_value());
  EXPECT_TRUE(std::ranges::equal(told.out.data(), untold.out.data()));
}

INSTANTIATE_TEST_SUITE_P(Golden, MainStream,
                         testing::ValuesIn(names_of({StreamKind::main, StreamKind::recovery})),
                         [](const auto& instance) { return printable(instance.param); });

/// Decodes each device by the description alone and puts the values back together.
class Joiner final : public Recoder {
 public:
  explicit Joiner(const StreamDescription& parsed) : Recoder(parsed), parsed_(parsed) {}

  Result<> on_section_data(RecordType type, const SectionHeader& header, Input& in) override {
    const std::size_t start = out.size();
    GODWIT_TRY(Recoder::on_section_data(type, header, in));
    const auto body = out.data().subspan(start);
    const auto device = std::ranges::find_if(parsed_.devices, [&](const DeviceDescription& d) {
      return d.name == header.name && d.instance == header.instance;
    });
    if (device == parsed_.devices.end()) return {};
    GODWIT_ASSIGN(const auto fields, split_section(device->state, body));
    // Heads of subsections are no fields: the bytes between fields are only these.
    std::vector<std::byte> joined(body.begin(), body.end());
    std::uint64_t covered = 0;
    for (const NamedField& field : fields) {
      covered += field.size * field.array_length;
      const auto target = std::span(joined).subspan(field.offset, field.size * field.array_length);
      std::ranges::fill(target, std::byte{0xa5});
      put(decode_field(field, body), target);
    }
    EXPECT_TRUE(std::ranges::equal(joined, body)) << header.name;
    EXPECT_LE(covered, body.size()) << header.name;
    ++devices;
    return {};
  }
  int devices = 0;

 private:
  static void put(const FieldValue& value, std::span<std::byte> target) {
    const auto number = [](std::uint64_t n, std::span<std::byte> to) {
      for (std::size_t i = to.size(); i > 0; --i, n >>= 8) to[i - 1] = static_cast<std::byte>(n);
    };
    const auto numbers = [&](const auto& values) {
      const std::size_t width = target.size() / values.size();
      for (std::size_t i = 0; i < values.size(); ++i)
        number(static_cast<std::uint64_t>(values[i]), target.subspan(i * width, width));
    };
    if (const auto* bytes = std::get_if<std::span<const std::byte>>(&value))
      std::ranges::copy(*bytes, target.begin());
    else if (const auto* truth = std::get_if<bool>(&value))
      target[0] = static_cast<std::byte>(*truth);
    else if (const auto* plain = std::get_if<std::uint64_t>(&value))
      number(*plain, target);
    else if (const auto* negative = std::get_if<std::int64_t>(&value))
      number(static_cast<std::uint64_t>(*negative), target);
    else if (const auto* array = std::get_if<std::vector<std::uint64_t>>(&value))
      numbers(*array);
    else
      numbers(std::get<std::vector<std::int64_t>>(value));
  }

  const StreamDescription& parsed_;
};

TEST_P(MainStream, DevicesAreTheirValues) {
  const auto stream = golden(GetParam());
  const auto parsed = parse_description(test::description_of(stream));
  if (!parsed) return;  // the others are in the test above
  Joiner joiner(*parsed);
  SpanInput in(stream);
  ASSERT_TRUE(StreamWalker(in, joiner, options_of(GetParam())).run());
  EXPECT_EQ(static_cast<std::size_t>(joiner.devices), parsed->devices.size());
}

class ReturnPath : public testing::TestWithParam<std::string> {};

TEST_P(ReturnPath, IsReadToItsLastByteAndEncodesToTheSame) {
  const auto stream = golden(GetParam());
  SpanInput in(stream);
  Output out;
  while (!in.at_end().value()) {
    const auto message = decode_return_message(in);
    ASSERT_TRUE(message) << message.error().what();
    encode_return_message(out, *message);
    if (!std::holds_alternative<ReceivedBitmap>(*message)) continue;
    std::vector<std::uint64_t> words(4096 / 64);
    ASSERT_TRUE(decode_received_bitmap(in, words, 4096));
    encode_received_bitmap(out, words, 4096);
    std::uint64_t pages = 0;
    for (const std::uint64_t word : words) pages += static_cast<std::uint64_t>(std::popcount(word));
    const auto bitmap = std::span(stream).first(in.offset()).last(words.size() * 8 + 16);
    SpanInput again(bitmap);
    EXPECT_EQ(count_received_bitmap(again).value(), pages);
    EXPECT_TRUE(again.at_end().value());
  }
  EXPECT_TRUE(std::ranges::equal(out.data(), stream));
}

INSTANTIATE_TEST_SUITE_P(Golden, ReturnPath, testing::ValuesIn(names_of({StreamKind::return_path})),
                         [](const auto& instance) { return printable(instance.param); });

TEST(Golden, TheUrgentChannelIsPagesAndAnEnd) {
  const auto stream = golden("09-postcopy-preempt-urgent-to-dst.bin");
  SpanInput in(stream);
  PageReader reader([](std::string_view name) -> Result<KnownBlock> {
    EXPECT_EQ(name, "m0");
    return KnownBlock{0, 16 * 1024 * 1024};
  });
  std::vector<std::uint64_t> pages;
  for (;;) {
    const auto record = reader.next(in);
    ASSERT_TRUE(record) << record.error().what();
    if (record->kind == PageKind::end_of_section) break;
    pages.push_back(record->offset);
    ASSERT_TRUE(in.discard(record->payload));
  }
  EXPECT_THAT(pages, testing::ElementsAre(0x12c000, 0xbb8000));
  EXPECT_TRUE(in.at_end().value());
}

TEST(Golden, TheSecondaryOfColoAnswersInItsOrder) {
  const auto stream = golden("14-colo-to-src.bin");
  SpanInput in(stream);
  Output out;
  std::vector<std::uint32_t> ids;
  while (!in.at_end().value()) {
    const auto message = decode_colo_message(in);
    ASSERT_TRUE(message) << message.error().what();
    encode_colo_message(out, *message);
    ids.push_back(static_cast<std::uint32_t>(message->id));
  }
  ASSERT_EQ(ids.size(), 28u);
  EXPECT_EQ(ids[0], 0u);
  for (std::size_t i = 1; i < ids.size(); ++i) EXPECT_EQ(ids[i], (std::array{6u, 2u, 5u})[i % 3]) << i;
  EXPECT_TRUE(std::ranges::equal(out.data(), stream));
}

/// Every sample is in one of the tests above; channels of multifd have a codec of their own.
TEST(Golden, NoSampleIsLeftOut) {
  const auto count = [](std::initializer_list<StreamKind> kinds) { return names_of(kinds).size(); };
  EXPECT_GE(test::golden_names().size(), 50u);
  EXPECT_EQ(count({StreamKind::multifd}), 6u);
  EXPECT_EQ(count({StreamKind::urgent}), 1u);
  EXPECT_EQ(count({StreamKind::colo_answers}), 1u);
  EXPECT_EQ(count({StreamKind::return_path}), 5u);
  EXPECT_EQ(count({StreamKind::main, StreamKind::recovery}), test::golden_names().size() - 13);
}

}  // namespace
}  // namespace godwit::wire
