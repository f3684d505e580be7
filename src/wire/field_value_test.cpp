#include "wire/field_value.h"

#include <gtest/gtest.h>

#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using namespace std::literals;
using Bytes = std::span<const std::byte>;

FieldValue value_of(std::string_view type, std::uint64_t size, std::uint64_t count, std::string_view body) {
  return decode_field({"f", std::string(type), 1, size, count}, test::bytes_of(body));
}

TEST(DecodeField, FollowsTheTypesOfTheDescription) {
  EXPECT_EQ(std::get<bool>(value_of("bool", 1, 1, "x\1"sv)), true);
  EXPECT_EQ(std::get<std::uint64_t>(value_of("uint8 equal", 1, 1, "x\xff"sv)), 255u);
  EXPECT_EQ(std::get<std::int64_t>(value_of("int8", 1, 1, "x\xff"sv)), -1);
  EXPECT_EQ(std::get<std::int64_t>(value_of("int32 le", 4, 1, "x\xff\xff\xff\xfe"sv)), -2);
  EXPECT_EQ(std::get<std::int64_t>(value_of("int64", 8, 1, "x\x80\0\0\0\0\0\0\0"sv)), INT64_MIN);
  EXPECT_EQ(std::get<std::uint64_t>(value_of("timer", 8, 1, "x\xff\xff\xff\xff\xff\xff\xff\xff"sv)),
            UINT64_MAX);
  EXPECT_EQ(std::get<std::vector<std::uint64_t>>(value_of("uint16", 2, 2, "x\0\1\0\2"sv)),
            (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(value_of("int32", 4, 2, "x\0\0\0\1\xff\xff\xff\xff"sv)),
            (std::vector<std::int64_t>{1, -1}));
  EXPECT_EQ(test::text_of(std::get<Bytes>(value_of("buffer", 3, 1, "xabc"))), "abc");
  EXPECT_EQ(test::text_of(std::get<Bytes>(value_of("uint8", 1, 3, "xabc"))), "abc");
  EXPECT_EQ(std::get<Bytes>(value_of("uint32", 2, 1, "xab")).size(), 2u)
      << "a size that the type does not have";
  EXPECT_TRUE(std::get<Bytes>(value_of("uint32", 4, 0, "x")).empty());
}

TEST(DecodeField, KnowsZero) {
  EXPECT_TRUE(is_zero(value_of("uint32", 4, 1, "x\0\0\0\0"sv)));
  EXPECT_FALSE(is_zero(value_of("uint32", 4, 2, "x\0\0\0\0\0\0\0\1"sv)));
  EXPECT_TRUE(is_zero(value_of("buffer", 2, 1, "x\0\0"sv)));
  EXPECT_FALSE(is_zero(value_of("bool", 1, 1, "x\1"sv)));
}

TEST(KnownState, IsThatOfTheSamples) {
  const auto parsed = parse_description(test::description_of(test::golden("01-precopy-plain.bin"))).value();
  for (const DeviceDescription& device : parsed.devices) {
    const StateDescription* known = known_state(device.name, device.state.version);
    ASSERT_NE(known, nullptr) << device.name;
    EXPECT_EQ(known->length, device.state.length);
    ASSERT_EQ(known->fields.size(), device.state.fields.size());
    for (std::size_t i = 0; i < known->fields.size(); ++i) {
      EXPECT_EQ(known->fields[i].name, device.state.fields[i].name);
      EXPECT_EQ(known->fields[i].type, device.state.fields[i].type);
      EXPECT_EQ(known->fields[i].size, device.state.fields[i].size);
    }
  }
  EXPECT_EQ(known_state("timer", 1), nullptr);
  EXPECT_EQ(known_state("cpu", 12), nullptr);
}

}  // namespace
}  // namespace godwit::wire
