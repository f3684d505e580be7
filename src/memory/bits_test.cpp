#include "memory/bits.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <vector>

namespace godwit::memory {
namespace {

std::vector<std::uint64_t> any_words(std::size_t count) {
  return *rc::gen::container<std::vector<std::uint64_t>>(count, rc::gen::arbitrary<std::uint64_t>());
}

bool bit(std::span<const std::uint64_t> words, std::uint64_t position) {
  return (words[position / 64] >> (position % 64)) & 1;
}

RC_GTEST_PROP(Bits, ReadBitsIsEachBit, ()) {
  const auto words = any_words(*rc::gen::inRange<std::size_t>(1, 5));
  const auto position = *rc::gen::inRange<std::uint64_t>(0, words.size() * 64);
  const auto count =
      *rc::gen::inRange<std::uint64_t>(1, std::min<std::uint64_t>(64, words.size() * 64 - position) + 1);
  const std::uint64_t got = read_bits(words, position, count);
  for (std::uint64_t n = 0; n < 64; ++n)
    RC_ASSERT(((got >> n) & 1) == (n < count && bit(words, position + n)));
}

RC_GTEST_PROP(Bits, MergeRangeIsAnOrAtAnyOffset, ()) {
  const auto source = any_words(*rc::gen::inRange<std::size_t>(1, 6));
  const auto from = *rc::gen::inRange<std::uint64_t>(0, source.size() * 64 + 1);
  const auto count = *rc::gen::inRange<std::uint64_t>(0, source.size() * 64 - from + 1);
  const auto page = *rc::gen::inRange<std::uint64_t>(0, 200);
  DirtyBitmap bitmap(page + count + *rc::gen::inRange<std::uint64_t>(0, 70));
  for (int n = *rc::gen::inRange(0, 20); n > 0 && bitmap.pages() > 0; --n)
    bitmap.set(*rc::gen::inRange<std::uint64_t>(0, bitmap.pages()));
  const DirtyBitmap before = bitmap;

  const std::uint64_t fresh = merge_range(bitmap, page, source, from, count);
  RC_ASSERT(fresh == bitmap.count() - before.count());
  for (std::uint64_t n = 0; n < bitmap.pages(); ++n) {
    const bool merged = n >= page && n < page + count && bit(source, from + n - page);
    RC_ASSERT(bitmap.test(n) == (before.test(n) || merged));
  }
}

RC_GTEST_PROP(Bits, MergeRunCountsWhatWasClean, ()) {
  DirtyBitmap bitmap(300);
  bitmap.set_range({*rc::gen::inRange<std::uint64_t>(0, 150), *rc::gen::inRange<std::uint64_t>(0, 150)});
  const auto first = *rc::gen::inRange<std::uint64_t>(0, 301);
  const PageRange run{first, *rc::gen::inRange<std::uint64_t>(0, 301 - first)};
  DirtyBitmap want = bitmap;
  want.set_range(run);
  const std::uint64_t fresh = want.count() - bitmap.count();
  RC_ASSERT(merge_run(bitmap, run) == fresh);
  RC_ASSERT(std::ranges::equal(bitmap.words(), want.words()));
}

}  // namespace
}  // namespace godwit::memory
