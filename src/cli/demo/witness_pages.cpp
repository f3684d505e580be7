#include "cli/demo/witness_pages.h"

#include <algorithm>
#include <fmt/format.h>
#include <random>
#include <span>
#include <vector>

namespace godwit::cli::demo {
namespace {

constexpr std::uint32_t pages_per_read = 64;

using Words = std::span<const std::uint64_t>;

std::string describe(std::uint64_t address, std::size_t word, std::uint64_t found, std::uint64_t expected,
                     std::string_view by) {
  return fmt::format("word {} of the page at {:#x} is {:#018x}, but {} wrote {:#018x}", word, address, found,
                     by, expected);
}

/// Compares the words from number `from` on with what the fill wrote.
void check_fill(std::uint64_t address, Words words, std::size_t from, PageCheck& check) {
  std::uint64_t expected = first_word(address, 0);
  for (std::size_t n = 0; n < words.size(); ++n, expected = next_word(expected)) {
    if (n < from || words[n] == expected) continue;
    ++check.bad_pages;
    if (check.first_bad.empty()) check.first_bad = describe(address, n, words[n], expected, "the fill");
    return;
  }
}

/// Follows the hot pages in the order in which a pass rewrites them.
class HotPages {
 public:
  HotPages(std::uint64_t pass, std::uint32_t words_rewritten)
      : pass_(pass), words_rewritten_(words_rewritten) {}

  void check(std::uint64_t address, Words words, PageCheck& check) {
    std::uint64_t current = first_word(address, pass_);
    std::uint64_t before = first_word(address, pass_ - 1);
    for (std::size_t n = 0; n < words_rewritten_; ++n) {
      if (!in_current_ || words[n] != current) {
        in_current_ = false;
        if (words[n] != before) return report(address, n, words[n], before, check);
      }
      current = next_word(current);
      before = next_word(before);
    }
    check_fill(address, words, words_rewritten_, check);
  }

 private:
  void report(std::uint64_t address, std::size_t word, std::uint64_t found, std::uint64_t expected,
              PageCheck& check) {
    ++check.bad_pages;
    if (check.first_bad.empty())
      check.first_bad = describe(address, word, found, expected, fmt::format("pass {} last", pass_ - 1));
  }

  std::uint64_t pass_;
  std::uint32_t words_rewritten_;
  bool in_current_ = true;  // false once past the place where the pass stopped
};

}  // namespace

Result<PageCheck> check_static_pages(GuestMemory& memory, const WitnessParameters& parameters,
                                     std::uint32_t sample, std::uint64_t seed) {
  PageCheck check;
  const std::uint64_t static_pages = parameters.fill_pages - parameters.hot_pages;
  if (static_pages == 0 || sample == 0) return check;
  const std::uint64_t wanted = std::min<std::uint64_t>(sample, static_pages);
  std::mt19937_64 random(seed);
  std::vector<std::uint64_t> words(words_per_page);
  for (std::uint64_t i = 0; i < wanted; ++i) {
    // One page out of each of `wanted` stretches of equal length.
    const std::uint64_t begin = static_pages * i / wanted;
    const std::uint64_t end = static_pages * (i + 1) / wanted;
    const std::uint64_t page = parameters.hot_pages + begin + random() % (end - begin);
    const std::uint64_t address = data_address + page * page_bytes;
    GODWIT_TRY(memory.read(address, std::as_writable_bytes(std::span(words))));
    check_fill(address, words, 0, check);
    ++check.pages;
  }
  return check;
}

Result<PageCheck> check_hot_pages(GuestMemory& memory, const WitnessParameters& parameters,
                                  std::uint64_t pass) {
  PageCheck check;
  HotPages hot(pass, parameters.words);
  std::vector<std::uint64_t> words(std::size_t{pages_per_read} * words_per_page);
  for (std::uint32_t page = 0; page < parameters.hot_pages; page += pages_per_read) {
    const std::uint32_t count = std::min(pages_per_read, parameters.hot_pages - page);
    const std::uint64_t address = data_address + page * page_bytes;
    const auto part = std::span(words).first(std::size_t{count} * words_per_page);
    GODWIT_TRY(memory.read(address, std::as_writable_bytes(part)));
    for (std::uint32_t i = 0; i < count; ++i)
      hot.check(address + i * page_bytes, part.subspan(std::size_t{i} * words_per_page, words_per_page),
                check);
    check.pages += count;
  }
  return check;
}

}  // namespace godwit::cli::demo
