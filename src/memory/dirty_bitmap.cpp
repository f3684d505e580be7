#include <algorithm>
#include <cassert>

#include <godwit/dirty_bitmap.h>

namespace godwit {
namespace {

constexpr std::uint64_t all_ones = ~std::uint64_t{0};

/// Applies `word_operation(word, mask)` to every word that `range` touches.
template <typename Operation>
void for_each_masked_word(std::span<std::uint64_t> words, PageRange range, Operation word_operation) {
  if (range.count == 0) return;
  const std::uint64_t end = range.first + range.count;
  const std::uint64_t first_word = range.first / 64;
  const std::uint64_t last_word = (end - 1) / 64;
  const std::uint64_t head = all_ones << (range.first % 64);
  const std::uint64_t tail = all_ones >> (63 - (end - 1) % 64);
  if (first_word == last_word) {
    word_operation(words[first_word], head & tail);
    return;
  }
  word_operation(words[first_word], head);
  for (std::uint64_t index = first_word + 1; index < last_word; ++index)
    word_operation(words[index], all_ones);
  word_operation(words[last_word], tail);
}

/// The first page at or after `from` whose bit, after `transform`, is set; `pages` when there is none.
template <typename Transform>
std::uint64_t find_page(std::span<const std::uint64_t> words, std::uint64_t from, std::uint64_t pages,
                        Transform transform) {
  if (from >= pages) return pages;
  std::uint64_t index = from / 64;
  std::uint64_t word = transform(words[index]) & (all_ones << (from % 64));
  while (word == 0) {
    if (++index * 64 >= pages) return pages;
    word = transform(words[index]);
  }
  return std::min(pages, index * 64 + static_cast<std::uint64_t>(std::countr_zero(word)));
}

}  // namespace

std::uint64_t DirtyBitmap::count() const {
  std::uint64_t total = 0;
  for (const std::uint64_t word : words_) total += static_cast<std::uint64_t>(std::popcount(word));
  return total;
}

void DirtyBitmap::set_range(PageRange range) {
  assert(range.first <= pages_ && range.count <= pages_ - range.first);
  for_each_masked_word(words_, range, [](std::uint64_t& word, std::uint64_t mask) { word |= mask; });
}

void DirtyBitmap::clear_range(PageRange range) {
  assert(range.first <= pages_ && range.count <= pages_ - range.first);
  for_each_masked_word(words_, range, [](std::uint64_t& word, std::uint64_t mask) { word &= ~mask; });
}

PageRange DirtyBitmap::next_run(std::uint64_t from, std::uint64_t limit) const {
  const std::uint64_t first = find_page(words_, from, pages_, [](std::uint64_t word) { return word; });
  if (first == pages_ || limit == 0) return {first, 0};
  const std::uint64_t stop = limit < pages_ - first ? first + limit : pages_;
  const std::uint64_t end = find_page(words_, first, stop, [](std::uint64_t word) { return ~word; });
  return {first, end - first};
}

}  // namespace godwit
