#include "wire/compress.h"

#include <algorithm>
#include <array>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <string>
#include <vector>
#include <zlib.h>

#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using Page = std::array<std::byte, page_size>;
using Compressed = std::array<std::byte, compressed_page_limit>;
using testing::HasSubstr;

/// Anything from one value all over to bytes without a pattern.
Page some_page() {
  Page page;
  const auto period = *rc::gen::inRange<std::size_t>(1, page_size + 1);
  const auto pattern =
      *rc::gen::container<std::vector<std::uint8_t>>(period, rc::gen::arbitrary<std::uint8_t>());
  for (std::size_t i = 0; i < page_size; ++i) page[i] = std::byte{pattern[i % period]};
  return page;
}

RC_GTEST_PROP(Compress, WhatIsCompressedIsDecompressed, ()) {
  PageCompressor compressor(*rc::gen::inRange(0, 10));
  PageDecompressor decompressor;
  Compressed data;
  for (int i = 0; i < 3; ++i) {  // a page leaves nothing behind for the next
    const Page page = some_page();
    const auto size = compressor.compress(page, data);
    RC_ASSERT(size.has_value());
    Page again{};
    RC_ASSERT(decompressor.decompress(std::span(data).first(*size), again, 0).has_value());
    RC_ASSERT(again == page);
  }
}

RC_GTEST_PROP(Compress, NoDataLeavesThePage, (std::vector<std::uint8_t> bytes)) {
  std::vector<std::byte> memory(3 * page_size, std::byte{0x55});
  bytes.insert(bytes.begin(), {0x78, 0x9c});
  const auto page = std::span(memory).subspan<page_size, page_size>();
  (void)PageDecompressor().decompress(std::as_bytes(std::span(bytes)), page, 0);
  const auto guard = [](std::byte byte) { return byte == std::byte{0x55}; };
  RC_ASSERT(std::ranges::all_of(std::span(memory).first(page_size), guard));
  RC_ASSERT(std::ranges::all_of(std::span(memory).last(page_size), guard));
}

std::vector<std::byte> zlib_of(std::size_t size) {
  const std::vector<Bytef> plain(size, 'x');
  std::vector<std::byte> data(compressBound(size));
  uLongf length = data.size();
  EXPECT_EQ(compress2(reinterpret_cast<Bytef*>(data.data()), &length, plain.data(), plain.size(), 9), Z_OK);
  data.resize(length);
  return data;
}

std::string error_of(std::span<const std::byte> data) {
  Page page;
  const auto result = PageDecompressor().decompress(data, page, 0x1000);
  return result ? "" : result.error().what();
}

TEST(Compress, RefusesAnythingButOnePage) {
  EXPECT_EQ(error_of(zlib_of(page_size)), "");
  EXPECT_THAT(error_of(zlib_of(page_size - 1)), HasSubstr("expected 4096 bytes before offset 0x10"));
  EXPECT_THAT(error_of(zlib_of(page_size + 1)), HasSubstr("does not end with the page"));
  EXPECT_THAT(error_of(zlib_of(std::size_t{4} << 20)), HasSubstr("does not end with the page"));

  auto data = zlib_of(page_size);
  data.push_back(std::byte{0});
  EXPECT_THAT(error_of(data), HasSubstr("1 bytes follow the end of the data at offset 0x10"));
  data.resize(data.size() - 2);
  EXPECT_THAT(error_of(data), HasSubstr("does not end with the page"));
  EXPECT_THAT(error_of(std::span(data).first(10)), HasSubstr("ends at offset 0x100a"));
  data = zlib_of(page_size);
  data.back() ^= std::byte{1};
  EXPECT_THAT(error_of(data), HasSubstr("damaged data before offset 0x10"));
  EXPECT_THAT(error_of({}), HasSubstr("ends at offset 0x1000"));
}

/// The stream's pages in the order they arrive.
class PageChecker final : public test::Recoder {
 public:
  using Recoder::Recoder;
  int pages = 0;

  Result<> on_ram_record(const PageRecord& record, const BlockEntry*, Input& in) override {
    if (record.kind != PageKind::compressed) return in.discard(record.payload);
    const std::uint64_t offset = in.offset();
    GODWIT_ASSIGN(const auto data, in.need(record.payload));
    Page page;
    GODWIT_TRY(decompressor_.decompress(data, page, offset));
    Compressed again;
    GODWIT_ASSIGN(const std::size_t size, compressor_.compress(page, again));
    Page twice;
    GODWIT_TRY(decompressor_.decompress(std::span(again).first(size), twice, 0));
    EXPECT_EQ(page, twice);
    // Pattern pages: byte j of page i is 7j + 13i.
    for (std::size_t j = 0; j < page_size && record.offset < 6 * page_size; ++j)
      EXPECT_EQ(page[j], static_cast<std::byte>(7 * j + 13 * (record.offset / page_size)));
    ++pages;
    in.skip(record.payload);
    return {};
  }

 private:
  PageDecompressor decompressor_;
  PageCompressor compressor_{6};
};

TEST(Compress, PagesOfTheGoldenStream) {
  const auto stream = test::golden("05-compress.bin");
  PageChecker checker(parse_description(test::description_of(stream)).value());
  SpanInput in(stream);
  const auto walked = StreamWalker(in, checker).run();
  ASSERT_TRUE(walked) << walked.error().what();
  EXPECT_EQ(checker.pages, 10);
}

}  // namespace
}  // namespace godwit::wire
