#include "wire/ram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <rapidcheck/gtest.h>

#include "base/fail.h"
#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using test::bytes_of;
using test::text_of;
using testing::HasSubstr;
using namespace std::literals;

std::string list_error(std::string_view text, const BlockListFormat& format = {}) {
  SpanInput in(bytes_of(text));
  const auto list = decode_block_list(in, format);
  return list ? "" : list.error().what();
}

PageReader::FindBlock two_blocks() {
  return [](std::string_view name) -> Result<KnownBlock> {
    if (name == "a") return KnownBlock{7, 0x3000};
    if (name == "b") return KnownBlock{8, 0x1000};
    return fail("no block '{}'", name);
  };
}

std::string page_error(std::string_view text) {
  PageReader reader(two_blocks());
  SpanInput in(bytes_of(text));
  for (;;) {
    const auto record = reader.next(in);
    if (!record) return record.error().what();
    if (record->kind == PageKind::end_of_section) return "";
    in.skip(record->payload);
  }
}

TEST(BlockList, WithEveryFormat) {
  const std::vector<BlockEntry> plain{{"pc.ram", 0x800000, {}, {}}, {"pc.bios", 0x20000, {}, {}}};
  const std::vector<BlockEntry> full{{"m0", 0x200000, 0x200000, 0x100000000}, {"m1", 0x1000, {}, 0}};
  BlockListFormat format;
  format.has_guest_addresses = true;
  format.has_host_page_size = [](std::string_view name) { return name == "m0"; };

  Output out;
  encode_block_list(out, plain);
  SpanInput first(out.data());
  EXPECT_EQ(decode_block_list(first, {}).value(), plain);
  EXPECT_TRUE(first.at_end().value());

  out.clear();
  encode_block_list(out, full);
  SpanInput second(out.data());
  EXPECT_EQ(decode_block_list(second, format).value(), full);
  EXPECT_TRUE(second.at_end().value());
}

TEST(BlockList, MayBeEmpty) {
  Output out;
  encode_block_list(out, {});
  EXPECT_EQ(text_of(out.data()), "\0\0\0\0\0\0\0\4"sv);
  SpanInput in(out.data());
  EXPECT_TRUE(decode_block_list(in, {}).value().empty());
}

TEST(BlockList, RefusesWhatDoesNotAddUp) {
  EXPECT_EQ(list_error("\0\0\0\0\0\0\0\x08"sv),
            "expected the block list at offset 0x0, got a record with flags 0x8");
  EXPECT_EQ(list_error("\0\0\0\0\0\0\x10\4\0"sv),
            "block list: expected the name of a block at offset 0x8, got an empty one");
  EXPECT_EQ(list_error("\0\0\0\0\0\0\x10\4\1a\0\0\0\0\0\0\x10\1"sv),
            "block list: block 'a': expected a length in pages of 4096 bytes at offset 0xa, got 0x1001");
  EXPECT_EQ(
      list_error("\0\0\0\0\0\0\x10\4\1a\xff\xff\xff\xff\xff\xff\xf0\0"sv),
      "block list: block 'a': expected at most the 0x1000 bytes that the total leaves at offset 0xa, got "
      "0xfffffffffffff000");
  EXPECT_EQ(list_error("\0\0\0\0\0\0\x20\4\1a\0\0\0\0\0\0\x10\0\1a\0\0\0\0\0\0\x10\0"sv),
            "block list: expected block 'a' once, it comes again at offset 0x12");
  EXPECT_EQ(list_error("\0\0\0\0\0\0\x10\4\1a\0\0"sv),
            "expected 8 bytes at offset 0xa, the stream ends after 2");
}

TEST(BlockList, EndlessListsOfEmptyBlocksEnd) {
  Output out;
  out.be64(0x1004);
  for (int i = 0; i < 5000; ++i) {
    out.counted_text("block" + std::to_string(i));
    out.be64(0);
  }
  EXPECT_THAT(list_error(text_of(out.data())), HasSubstr("expected at most 4096 blocks"));
}

TEST(PageReader, BytesOfTheSpecification) {
  PageReader reader([](std::string_view name) -> Result<KnownBlock> {
    EXPECT_EQ(name, "m0");
    return KnownBlock{0, 0x1000000};
  });
  std::string text = "\0\0\0\0\0\0\0\x08\2m0"s + std::string(4096, 'x') + "\0\0\0\0\0\0\x30\x22\0"s +
                     "\0\0\0\0\0\0\x11\x20\0\0\0\x1c"s + std::string(28, 'z') +
                     "\0\0\0\0\0\0\x70\x60\1\0\x10"s + std::string(16, 'd') +
                     "\0\0\0\0\0\0\0\x80\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\x10"s;
  SpanInput in(bytes_of(text));
  const auto expect = [&](PageKind kind, bool continued, std::uint64_t offset, std::uint32_t payload) {
    const auto record = reader.next(in);
    ASSERT_TRUE(record) << record.error().what();
    EXPECT_EQ(record->kind, kind);
    EXPECT_EQ(record->continued, continued);
    EXPECT_EQ(record->offset, offset);
    EXPECT_EQ(record->payload, payload);
    ASSERT_TRUE(in.discard(payload));
  };
  expect(PageKind::normal, false, 0, 4096);
  expect(PageKind::zero, true, 0x3000, 0);
  expect(PageKind::compressed, true, 0x1000, 28);
  expect(PageKind::xbzrle, true, 0x7000, 16);
  expect(PageKind::hook, false, 0, 0);
  expect(PageKind::multifd_flush, false, 0, 0);
  expect(PageKind::end_of_section, false, 0, 0);
  EXPECT_TRUE(in.at_end().value());
}

TEST(PageReader, RemembersTheBlockAcrossSections) {
  PageReader reader(two_blocks());
  SpanInput in(
      bytes_of("\0\0\0\0\0\0\0\2\1b\0"
               "\0\0\0\0\0\0\0\x10"
               "\0\0\0\0\0\0\0\x22\x5a"
               "\0\0\0\0\0\0\x20\2\1a\0"
               "\0\0\0\0\0\0\0\x22\0"sv));
  EXPECT_EQ(reader.next(in)->block, 8u);
  EXPECT_EQ(reader.next(in)->kind, PageKind::end_of_section);
  const auto continued = reader.next(in);
  EXPECT_EQ(continued->block, 8u);
  EXPECT_EQ(continued->fill, 0x5a);
  EXPECT_EQ(reader.next(in)->block, 7u);
  EXPECT_EQ(reader.next(in)->block, 7u);
  reader.forget();
  SpanInput after(bytes_of("\0\0\0\0\0\0\0\x28"sv));
  EXPECT_THAT(reader.next(after).error().what(), HasSubstr("none was named yet"));
}

TEST(PageReader, RefusesWhatIsNoPage) {
  EXPECT_EQ(page_error("\0\0\0\0\0\0\0\1"sv),
            "expected a page or the end of the section at offset 0x0, got a record with flags 0x1");
  EXPECT_THAT(page_error("\0\0\0\0\0\0\0\x0a"sv), HasSubstr("flags 0xa"));
  EXPECT_THAT(page_error("\0\0\0\0\0\0\0\x30"sv), HasSubstr("flags 0x30"));
  EXPECT_THAT(page_error("\0\0\0\0\0\0\x10\4"sv), HasSubstr("got a block list"));
  EXPECT_EQ(page_error("\0\0\0\0\0\0\x10\x10"sv),
            "expected a mark without an offset at offset 0x0, got 0x1010");
  EXPECT_EQ(page_error("\0\0\0\0\0\0\0\2\1c\0"sv), "page record's block name at offset 0x8: no block 'c'");
  EXPECT_EQ(page_error("\0\0\0\0\0\0\x10\2\1b\0"sv),
            "page record at offset 0x0: expected a page below 0x1000, the length of the block, got 0x1000");
  EXPECT_THAT(page_error("\0\0\0\0\0\0\0\2\1b\0\0\0\0\0\0\0\x10\x28"sv),
              HasSubstr("page record at offset 0xb: expected a page below"));
  EXPECT_EQ(page_error("\0\0\0\0\0\0\0\x40\1b\2"sv), "xbzrle page: expected encoding 1 at offset 0xa, got 2");
  EXPECT_EQ(page_error("\0\0\0\0\0\0\0\x40\1b\1\x10\1"sv),
            "xbzrle page: expected a length of at most 4096 at offset 0xb, got 4097");
  EXPECT_EQ(page_error("\0\0\0\0\0\0\1\0\1b\0\0\x10\x0f"sv),
            "compressed page: expected a length from 1 to 4110 at offset 0xa, got 4111");
  EXPECT_EQ(page_error("\0\0\0\0\0\0\1\0\1b\0\0\0\0"sv),
            "compressed page: expected a length from 1 to 4110 at offset 0xa, got 0");
}

TEST(EndOfSection, NothingElseIsOne) {
  SpanInput good(bytes_of("\0\0\0\0\0\0\0\x10"sv));
  EXPECT_TRUE(decode_end_of_section(good));
  SpanInput page(bytes_of("\0\0\0\0\0\0\x10\x10"sv));
  EXPECT_EQ(decode_end_of_section(page).error().what(),
            "expected the end mark of the section's data (0x10) at offset 0x0, got 0x1010");
}

TEST(PageHeader, BytesOfTheSpecification) {
  std::array<std::byte, page_header_limit> out;
  EXPECT_EQ(encode_page_header(out.data(), PageKind::normal, 0, false, "m0"), 11u);
  EXPECT_EQ(text_of(std::span(out).first(11)), "\0\0\0\0\0\0\0\x08\2m0"sv);
  EXPECT_EQ(encode_zero_page(out.data(), 0x3000, true, "m0"), 9u);
  EXPECT_EQ(text_of(std::span(out).first(9)), "\0\0\0\0\0\0\x30\x22\0"sv);
  EXPECT_EQ(encode_page_header(out.data(), PageKind::end_of_section, 0, false, ""), 8u);
  EXPECT_EQ(text_of(std::span(out).first(8)), "\0\0\0\0\0\0\0\x10"sv);
  EXPECT_EQ(encode_zero_page(out.data(), 0, false, std::string(255, 'n')), page_header_limit);
}

RC_GTEST_PROP(PageReader, PagesRoundTrip, ()) {
  struct Page {
    bool zero;
    std::size_t block;
    std::uint64_t number;
  };
  const std::array<std::string, 3> names{"a", "pc.ram", std::string(255, 'n')};
  const auto pages = *rc::gen::container<std::vector<Page>>(rc::gen::build<Page>(
      rc::gen::set(&Page::zero), rc::gen::set(&Page::block, rc::gen::inRange<std::size_t>(0, 3)),
      rc::gen::set(&Page::number, rc::gen::inRange<std::uint64_t>(0, std::uint64_t{1} << 40))));
  Output out;
  std::size_t last = names.size();
  for (const Page& page : pages) {
    std::array<std::byte, page_header_limit> head;
    const bool continued = page.block == last;
    last = page.block;
    const std::uint64_t offset = page.number * page_size;
    const std::size_t length =
        page.zero ? encode_zero_page(head.data(), offset, continued, names[page.block])
                  : encode_page_header(head.data(), PageKind::normal, offset, continued, names[page.block]);
    out.bytes(std::span(head).first(length));
    if (!page.zero) out.zeros(page_size);
  }
  encode_end_of_section(out);

  std::size_t lookups = 0;
  PageReader reader([&](std::string_view name) -> Result<KnownBlock> {
    ++lookups;
    const auto found = std::ranges::find(names, name);
    return KnownBlock{static_cast<std::uint32_t>(found - names.begin()), std::uint64_t{1} << 52};
  });
  SpanInput in(out.data());
  std::size_t changes = 0;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    changes += i == 0 || pages[i].block != pages[i - 1].block;
    const auto record = reader.next(in);
    RC_ASSERT(record.has_value());
    RC_ASSERT((record->kind == PageKind::zero) == pages[i].zero);
    RC_ASSERT(record->block == pages[i].block);
    RC_ASSERT(record->offset == pages[i].number * page_size);
    RC_ASSERT(in.discard(record->payload).has_value());
  }
  RC_ASSERT(lookups == changes);
  RC_ASSERT(decode_end_of_section(in).has_value());
  RC_ASSERT(in.at_end().value());
}

}  // namespace
}  // namespace godwit::wire
