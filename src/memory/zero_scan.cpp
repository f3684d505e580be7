#include "memory/zero_scan.h"

#include <cassert>
#include <cstring>
#include <hwy/cache_control.h>

#include <godwit/ram_block.h>

// Highway compiles this file once per target and picks one when the program runs.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "memory/zero_scan.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace godwit::memory::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Most pages that hold data differ in their first bytes, so the first vector is looked at alone; the rest
// goes in steps of four vectors, whose loads do not wait for each other. Who asks about one page asks about
// the next ones too: the first bytes of one that is some pages ahead are fetched meanwhile.
constexpr std::size_t pages_ahead = 8;
constexpr std::size_t words_per_line = 64 / sizeof(std::uint64_t);
constexpr std::size_t words_ahead = 2048 / sizeof(std::uint64_t);

bool zero_page(const std::byte* page) {
  const hn::ScalableTag<std::uint64_t> tag;
  const std::size_t lanes = hn::Lanes(tag);
  const auto* words = reinterpret_cast<const std::uint64_t*>(page);
  hwy::Prefetch(page + pages_ahead * page_size);
  const auto zero = hn::Zero(tag);
  if (!hn::AllTrue(tag, hn::Eq(hn::LoadU(tag, words), zero))) return false;

  constexpr std::size_t words_per_page = page_size / sizeof(std::uint64_t);
  for (std::size_t word = 0; word < words_per_page; word += 4 * lanes) {
    // The processor itself fetches ahead up to the end of a page, not beyond.
    for (std::size_t line = 0; line < 4 * lanes; line += words_per_line)
      hwy::Prefetch(words + word + line + words_ahead);
    const auto a = hn::Or(hn::LoadU(tag, words + word), hn::LoadU(tag, words + word + lanes));
    const auto b = hn::Or(hn::LoadU(tag, words + word + 2 * lanes), hn::LoadU(tag, words + word + 3 * lanes));
    if (!hn::AllTrue(tag, hn::Eq(hn::Or(a, b), zero))) return false;
  }
  return true;
}

std::uint64_t zero_pages(const std::byte* first, std::size_t count) {
  std::uint64_t mask = 0;
  for (std::size_t page = 0; page < count; ++page)
    mask |= std::uint64_t{zero_page(first + page * page_size)} << page;
  return mask;
}

}  // namespace godwit::memory::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace godwit::memory {

HWY_EXPORT(zero_page);
HWY_EXPORT(zero_pages);

bool is_zero_page(const std::byte* page) {
  return HWY_DYNAMIC_DISPATCH(zero_page)(page);
}

std::uint64_t zero_pages_in(const std::byte* first, std::size_t count) {
  assert(count <= 64);
  return HWY_DYNAMIC_DISPATCH(zero_pages)(first, count);
}

bool is_zero_page_scalar(const std::byte* page) {
  for (std::size_t offset = 0; offset < page_size; ++offset)
    if (page[offset] != std::byte{0}) return false;
  return true;
}

}  // namespace godwit::memory
#endif
