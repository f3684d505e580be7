#include "wire/multifd_compression.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <string>
#include <vector>

#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using test::golden;
using testing::HasSubstr;
using Page = std::vector<std::byte>;

std::vector<std::byte*> places_in(std::vector<Page>& pages) {
  std::vector<std::byte*> places;
  for (Page& page : pages) places.push_back(page.data());
  return places;
}

/// From one value all over to bytes without a pattern.
Page page_of(std::uint32_t seed, std::uint32_t period) {
  Page page(page_size);
  for (std::size_t i = 0; i < page_size; ++i) {
    std::uint32_t x = seed + static_cast<std::uint32_t>(i % period) * 2654435761U;
    x ^= x >> 15, x *= 2246822519U, x ^= x >> 13;
    page[i] = static_cast<std::byte>(x);
  }
  return page;
}

class Compression : public testing::TestWithParam<MultifdMethod> {
 protected:
  std::unique_ptr<MultifdCompressor> compressor(int level) {
    return make_multifd_compressor(GetParam(), level).value();
  }
  std::unique_ptr<MultifdDecompressor> decompressor() {
    return make_multifd_decompressor(GetParam()).value();
  }
  int highest_level() const { return GetParam() == MultifdMethod::zlib ? 9 : 20; }

  /// One packet through a compressor.
  std::vector<std::byte> packet(MultifdCompressor& compressor, const std::vector<Page>& pages) {
    for (const Page& page : pages) EXPECT_TRUE(compressor.add(page.data()));
    const auto data = compressor.finish();
    EXPECT_TRUE(data);
    return {data->begin(), data->end()};
  }
  std::string error_of(MultifdDecompressor& decompressor, std::span<const std::byte> data,
                       std::size_t count) {
    std::vector<Page> pages(count, Page(page_size));
    SpanInput in(data, 0x1000);
    const auto result = decompressor.read(in, static_cast<std::uint32_t>(data.size()), places_in(pages));
    return result ? "" : result.error().what();
  }
};

TEST_P(Compression, EveryLevelAndPacketSizeComesBack) {
  for (const int level : {0, 1, highest_level()}) {
    const auto out = compressor(level);
    const auto in = decompressor();
    for (const std::size_t count : {1U, 128U, 3U, 127U}) {
      std::vector<Page> pages;
      for (std::uint32_t i = 0; i < count; ++i)
        pages.push_back(page_of(i * 977, i % 3 == 0 ? 4096 : i % 3 == 1 ? 1 : 200));
      const auto data = packet(*out, pages);
      ASSERT_LE(data.size(), MultifdPacket::data_limit);
      std::vector<Page> again(count, Page(page_size));
      test::PiecewiseInput stream(data, 1000);
      const auto read = in->read(stream, static_cast<std::uint32_t>(data.size()), places_in(again));
      ASSERT_TRUE(read) << read.error().what();
      EXPECT_EQ(again, pages);
    }
  }
}

TEST_P(Compression, RefusesMoreOrFewerPagesThanThePacketSays) {
  const std::vector<Page> pages = {page_of(1, 1), page_of(2, 1), page_of(3, 4096)};
  const auto data = packet(*compressor(1), pages);
  EXPECT_EQ(error_of(*decompressor(), data, 3), "");
  EXPECT_THAT(error_of(*decompressor(), data, 2), HasSubstr("at offset 0x1000 expand beyond their 2 pages"));
  EXPECT_THAT(error_of(*decompressor(), data, 4), HasSubstr("at offset 0x1000 hold 3 of 4 pages"));
  EXPECT_THAT(error_of(*decompressor(), std::span(data).first(data.size() / 2), 3), HasSubstr("of 3 pages"));
}

TEST_P(Compression, RefusesDataThatExpandsWithoutEnd) {
  // Zeros shrink to next to nothing: 128 pages claimed to be one.
  const auto data = packet(*compressor(9), std::vector<Page>(128, Page(page_size)));
  EXPECT_LT(data.size(), 2000u);
  EXPECT_THAT(error_of(*decompressor(), data, 1), HasSubstr("expand beyond their 1 pages"));
}

TEST_P(Compression, RefusesDamagedData) {
  const std::vector<Page> pages = {page_of(1, 4096), page_of(2, 200)};
  auto data = packet(*compressor(1), pages);
  data[0] ^= std::byte{0xff};
  EXPECT_THAT(error_of(*decompressor(), data, 2), HasSubstr("damaged"));
}

INSTANTIATE_TEST_SUITE_P(Methods, Compression, testing::Values(MultifdMethod::zlib, MultifdMethod::zstd),
                         [](const auto& instance) {
                           return instance.param == MultifdMethod::zlib ? "zlib" : "zstd";
                         });

TEST(MultifdCompression, ZstdHistoryIsBounded) {
  // A frame that asks for 128 MiB of history: magic, descriptor without content size, window 2^27.
  const std::array bytes{std::byte{0x28}, std::byte{0xb5}, std::byte{0x2f}, std::byte{0xfd},
                         std::byte{0x00}, std::byte{0x88}, std::byte{0},    std::byte{0}};
  std::vector<Page> pages(1, Page(page_size));
  SpanInput in(bytes);
  const auto result =
      make_multifd_decompressor(MultifdMethod::zstd).value()->read(in, bytes.size(), places_in(pages));
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().what(), HasSubstr("requires too much memory"));
}

struct GoldenCase {
  const char* name;
  MultifdMethod method;
};

/// The pages of both channels are those of the sample's description.
TEST(MultifdCompression, PagesOfTheGoldenChannels) {
  for (const auto& [name, method] :
       {GoldenCase{"zlib", MultifdMethod::zlib}, {"zstd", MultifdMethod::zstd}}) {
    std::size_t pages = 0;
    for (const int channel : {0, 1}) {
      const auto bytes =
          golden("12-multifd-" + std::string(name) + "-channel" + std::to_string(channel) + ".bin");
      std::vector<std::byte> memory(16 << 20);
      MultifdReader reader(method, [&](std::string_view) { return KnownBlock{0, memory.size()}; });
      const auto decompressor = make_multifd_decompressor(method).value();
      SpanInput in(bytes);
      ASSERT_TRUE(decode_multifd_hello(in));
      while (!in.at_end().value()) {
        const auto next = reader.next(in);
        ASSERT_TRUE(next) << next.error().what();
        if (reader.data() == 0) continue;
        std::vector<std::byte*> places;
        for (const std::uint64_t offset : reader.packet().normal()) places.push_back(memory.data() + offset);
        const auto read = decompressor->read(in, reader.data(), places);
        ASSERT_TRUE(read) << read.error().what();
        pages += places.size();
        for (const std::uint64_t offset : reader.packet().normal()) {
          const std::uint64_t page = offset / page_size;
          for (std::size_t j = 0; j < page_size; ++j)
            ASSERT_EQ(memory[offset + j],
                      page == 4095 ? std::byte{0xee} : static_cast<std::byte>(7 * j + 13 * page))
                << page;
        }
      }
    }
    EXPECT_EQ(pages, 11u) << name;
  }
}

}  // namespace
}  // namespace godwit::wire
