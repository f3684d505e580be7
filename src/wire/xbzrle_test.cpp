#include "wire/xbzrle.h"

#include <algorithm>
#include <array>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <string>
#include <vector>

#include "base/testing/every_target.h"
#include "wire/test_stream.h"

namespace godwit::wire {
namespace {

using Page = std::array<std::byte, page_size>;
using enum XbzrleDelta::Kind;
using test::bytes_of;
using testing::HasSubstr;
using namespace std::literals;

std::string error_of(std::string_view delta) {
  Page page{};
  const auto applied = apply_xbzrle(bytes_of(delta), page, 0x100);
  return applied ? "" : applied.error().what();
}

/// Two versions of a page that differ in `runs` places.
struct Versions {
  Page before;
  Page after;
};

Versions versions() {
  Versions v;
  const auto seed = *rc::gen::arbitrary<std::uint8_t>();
  for (std::size_t i = 0; i < page_size; ++i) v.before[i] = static_cast<std::byte>(i * 7 + seed);
  v.after = v.before;
  const auto runs = *rc::gen::weightedOneOf<int>({{8, rc::gen::inRange(0, 60)}, {1, rc::gen::just(1500)}});
  for (int run = 0; run < runs; ++run) {
    const auto at = *rc::gen::inRange<std::size_t>(0, page_size);
    const auto length = *rc::gen::weightedOneOf<std::size_t>(
        {{8, rc::gen::inRange<std::size_t>(1, 40)}, {1, rc::gen::inRange<std::size_t>(1, page_size)}});
    for (std::size_t i = at; i < std::min<std::size_t>(at + length, page_size); ++i)
      v.after[i] = ~v.before[i];
  }
  return v;
}

RC_GTEST_PROP(Xbzrle, WhatIsEncodedIsDecoded, ()) {
  const Versions v = versions();
  Page delta;
  const XbzrleDelta result = encode_xbzrle(v.before.data(), v.after.data(), delta);
  RC_ASSERT((result.kind == unchanged) == (v.before == v.after));
  if (result.kind != encoded) return;
  Page page = v.before;
  const auto applied = apply_xbzrle(std::span(delta).first(result.size), page, 0);
  RC_ASSERT(applied.has_value());
  RC_ASSERT(page == v.after);
}

RC_GTEST_PROP(Xbzrle, EveryTargetEncodesAsTheScalarOne, ()) {
  const Versions v = versions();
  Page want;
  const XbzrleDelta expected = encode_xbzrle_scalar(v.before.data(), v.after.data(), want);
  godwit::test::EveryTarget().each([&](const char*) {
    Page delta;
    RC_ASSERT(encode_xbzrle(v.before.data(), v.after.data(), delta) == expected);
    RC_ASSERT(
        std::equal(delta.begin(), delta.begin() + static_cast<std::ptrdiff_t>(expected.size), want.begin()));
  });
}

RC_GTEST_PROP(Xbzrle, NoDeltaLeavesThePage, (std::vector<std::uint8_t> bytes)) {
  // The page has a guard on either side.
  std::vector<std::byte> memory(3 * page_size, std::byte{0x55});
  const auto page = std::span(memory).subspan<page_size, page_size>();
  (void)apply_xbzrle(std::as_bytes(std::span(bytes)), page, 0);
  const auto guard = [](std::byte byte) { return byte == std::byte{0x55}; };
  RC_ASSERT(std::ranges::all_of(std::span(memory).first(page_size), guard));
  RC_ASSERT(std::ranges::all_of(std::span(memory).last(page_size), guard));
}

TEST(Xbzrle, ThreeOutcomes) {
  Page before{};
  Page after{};
  Page delta;
  EXPECT_EQ(encode_xbzrle(before.data(), after.data(), delta), (XbzrleDelta{unchanged, 0}));
  after.fill(std::byte{1});
  EXPECT_EQ(encode_xbzrle(before.data(), after.data(), delta).kind, overflow);
  // Of all but one byte changed, the lengths take what is saved.
  after[0] = std::byte{0};
  EXPECT_EQ(encode_xbzrle(before.data(), after.data(), delta).kind, overflow);
  after[1] = after[2] = after[3] = std::byte{0};
  EXPECT_EQ(encode_xbzrle(before.data(), after.data(), delta), (XbzrleDelta{encoded, 1 + 2 + 4092}));
}

TEST(Xbzrle, AsManyRunsAsAPageCanHave) {
  for (const std::size_t first : {0, 1})
    godwit::test::EveryTarget().each([&](const char* target) {
      Page before{};
      Page after{};
      Page delta;
      for (std::size_t at = first; at < page_size; at += 2) after[at] = std::byte{1};
      EXPECT_EQ(encode_xbzrle(before.data(), after.data(), delta).kind, overflow) << target;
    });
}

TEST(Xbzrle, BytesOfTheSpecification) {
  const std::string delta = "\xa8\x0a\x08\x55\xa0\x40\x6b\xf3\x25\x87\x93\xf7\x0d\x02\xf3\xfc"s;
  Page before{};
  Page after{};
  ASSERT_TRUE(apply_xbzrle(bytes_of(delta), after, 0));
  EXPECT_EQ(after[1319], std::byte{0});
  EXPECT_EQ(after[1320], std::byte{0x55});
  EXPECT_EQ(after[1327], std::byte{0x93});
  EXPECT_EQ(after[1320 + 8 + 1783], std::byte{0xf3});
  Page encoded_again;
  const XbzrleDelta result = encode_xbzrle(before.data(), after.data(), encoded_again);
  EXPECT_EQ(test::text_of(std::span(encoded_again).first(result.size)), delta);
}

TEST(Xbzrle, RefusesWhatIsNoDelta) {
  EXPECT_EQ(error_of(""), "");
  EXPECT_EQ(error_of("\0\1x"sv), "");
  EXPECT_EQ(error_of("\0"sv),
            "xbzrle page: expected a length and more at offset 0x100, the delta ends after 1");
  EXPECT_EQ(error_of("\0\0x"sv), "xbzrle page: expected the length of a changed run at offset 0x101");
  EXPECT_EQ(error_of("\0\1x\0\1y"sv), "xbzrle page: expected the length of an unchanged run at offset 0x103");
  EXPECT_EQ(error_of("\x80\x80\1x"sv),
            "xbzrle page: expected the length of an unchanged run at offset 0x100");
  EXPECT_EQ(error_of("\0\x80\x80x"sv), "xbzrle page: expected the length of a changed run at offset 0x101");
  EXPECT_EQ(error_of("\0\2x"sv), "xbzrle page: a changed run of 2 bytes at offset 0x101 overruns the delta");
  EXPECT_EQ(error_of("\x05"
                     "\1"sv),
            "xbzrle page: expected changed bytes at offset 0x101, the delta ends after 1");
  EXPECT_EQ(error_of("\x81\x20\1x"sv),
            "xbzrle page: expected an unchanged run of at most 4096 bytes at offset 0x100, got 4097");
  EXPECT_EQ(error_of("\x80\x20\1x"sv),
            "xbzrle page: a changed run of 1 bytes at offset 0x102 overruns the page");
  EXPECT_EQ(error_of("\xff\x1f\2xy"sv),
            "xbzrle page: a changed run of 2 bytes at offset 0x102 overruns the page");
}

/// Keeps the guest's memory as the stream builds it, and encodes each delta again.
class DeltaChecker final : public test::Recoder {
 public:
  using Recoder::Recoder;
  std::vector<std::byte> memory;
  int deltas = 0;

  Result<> on_block_list(std::span<const BlockEntry> blocks) override {
    memory.resize(blocks[0].length);
    return {};
  }
  Result<> on_ram_record(const PageRecord& record, const BlockEntry*, Input& in) override {
    if (!is_page(record.kind)) return {};
    const std::span<std::byte, page_size> page(memory.data() + record.offset, page_size);
    if (record.kind == PageKind::normal) return in.read(page);
    if (record.kind == PageKind::zero) {
      std::ranges::fill(page, static_cast<std::byte>(record.fill));
      return {};
    }
    Page before;
    std::ranges::copy(page, before.begin());
    const std::uint64_t offset = in.offset();
    GODWIT_ASSIGN(const auto delta, in.need(record.payload));
    GODWIT_TRY(apply_xbzrle(delta, page, offset));
    Page again;
    const XbzrleDelta result = encode_xbzrle(before.data(), page.data(), again);
    EXPECT_EQ(result.kind, encoded);
    EXPECT_TRUE(std::ranges::equal(std::span(again).first(result.size), delta)) << record.offset;
    ++deltas;
    in.skip(record.payload);
    return {};
  }
};

TEST(Xbzrle, DeltasOfTheGoldenStreamEncodeToTheSameBytes) {
  const auto stream = test::golden("04-xbzrle.bin");
  DeltaChecker checker(parse_description(test::description_of(stream)).value());
  SpanInput in(stream);
  const auto walked = StreamWalker(in, checker).run();
  ASSERT_TRUE(walked) << walked.error().what();
  EXPECT_EQ(checker.deltas, 13);
}

}  // namespace
}  // namespace godwit::wire
