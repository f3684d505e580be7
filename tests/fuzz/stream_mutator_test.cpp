// The mutator finds its way in recorded streams, stays within the room and does the same for the same seed.
#include "stream_mutator.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>
#include <string>

#include "wire/test_stream.h"

namespace godwit::fuzz {
namespace {

using wire::RecordType;

std::vector<std::byte> sample() {
  return wire::test::golden("01-precopy-plain.bin");
}

/// Turns over the bits of a byte and adds one.
std::size_t plain(std::uint8_t* data, std::size_t size, std::size_t room) {
  if (size > 0) data[size / 2] ^= 0xff;
  if (size == room) return size;
  data[size] = 0xa5;
  return size + 1;
}

TEST(StreamMap, CoversAStreamFromTheFirstRecordToTheEnd) {
  const auto stream = sample();
  const StreamMap map = map_stream(stream);
  ASSERT_GT(map.records.size(), 5u);
  EXPECT_EQ(map.records.back().type, RecordType::description);
  EXPECT_EQ(map.records.back().end, stream.size());
  for (std::size_t i = 0; i + 1 < map.records.size(); ++i) {
    const StreamRecord& record = map.records[i];
    EXPECT_EQ(record.end, map.records[i + 1].begin);
    EXPECT_LE(record.data, record.data_end);
    EXPECT_LE(record.data_end, record.end);
    EXPECT_EQ(stream[record.begin], static_cast<std::byte>(record.type));
  }
}

TEST(StreamMap, KnowsWhereTheNumbersAre) {
  const auto stream = sample();
  std::set<StreamField::Kind> kinds;
  for (const StreamField& field : map_stream(stream).fields) {
    kinds.insert(field.kind);
    ASSERT_LE(field.at + field.width, stream.size());
    const auto last = static_cast<unsigned>(stream[field.at + field.width - 1]);
    if (field.kind == StreamField::Kind::id) {
      EXPECT_LT(last, 64u) << "a section's number at " << field.at;
    }
    if (field.kind == StreamField::Kind::page_word) {
      EXPECT_NE(last & 0x7a, 0u) << "the flags of a page at " << field.at;
    }
  }
  EXPECT_EQ(kinds.size(), 7u);
}

TEST(StreamMap, OfAPartIsWhatCanBeRead) {
  const auto stream = sample();
  EXPECT_TRUE(map_stream({}).records.empty());
  const StreamMap map = map_stream(std::span(stream).first(100));
  ASSERT_FALSE(map.records.empty());
  EXPECT_EQ(map.records.back().end, 100u);
}

TEST(StreamMutator, DoesTheSameForTheSameSeedAndStaysInTheRoom) {
  const auto original = sample();
  std::set<std::vector<std::byte>> results;
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    auto one = original;
    auto other = original;
    mutate_stream(one, original.size() + 16, seed, plain);
    mutate_stream(other, original.size() + 16, seed, plain);
    EXPECT_EQ(one, other);
    EXPECT_LE(one.size(), original.size() + 16);
    results.insert(std::move(one));
  }
  EXPECT_GT(results.size(), 30u);
}

TEST(StreamMutator, ChangesWhatItHasChangedAgain) {
  auto stream = sample();
  for (std::uint32_t seed = 1; seed <= 300; ++seed) mutate_stream(stream, 64 * 1024, seed, plain);
  EXPECT_LE(stream.size(), 64u * 1024);
  std::vector<std::byte> empty;
  mutate_stream(empty, 8, 1, plain);
  EXPECT_EQ(empty.size(), 1u);
}

TEST(StreamMutator, CrossesTwoStreamsAtRecords) {
  const auto one = sample();
  const auto other = wire::test::golden("13-background-snapshot.bin");
  const auto crossed = cross_streams(one, other, 1 << 20, 7);
  ASSERT_FALSE(crossed.empty());
  EXPECT_TRUE(std::ranges::equal(std::span(crossed).first(8), std::span(one).first(8)));
  EXPECT_EQ(crossed.back(), other.back());
  EXPECT_LE(cross_streams(one, other, 50, 7).size(), 50u);
}

}  // namespace
}  // namespace godwit::fuzz
