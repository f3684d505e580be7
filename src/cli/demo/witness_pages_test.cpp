#include "cli/demo/witness_pages.h"

#include <gmock/gmock.h>

#include "cli/testing/witness_memory.h"

namespace godwit::cli::demo {
namespace {

using ::testing::HasSubstr;

constexpr WitnessParameters whole_pages{.fill_pages = 200, .hot_pages = 130};
constexpr WitnessParameters few_words{.fill_pages = 200, .hot_pages = 130, .words = 3};

PageCheck hot_check(WitnessMemory& memory, const WitnessParameters& parameters, std::uint64_t pass) {
  const auto check = check_hot_pages(memory, parameters, pass);
  EXPECT_TRUE(check);
  return check.value_or(PageCheck{});
}

PageCheck static_check(WitnessMemory& memory, std::uint32_t sample = 1000) {
  const auto check = check_static_pages(memory, whole_pages, sample, 1);
  EXPECT_TRUE(check);
  return check.value_or(PageCheck{});
}

// From an independent evaluation of the formula in witness.S.
TEST(WitnessWords, FollowTheFormula) {
  EXPECT_EQ(first_word(0x1000000, 0), 0xb97f4a7c15000000);
  EXPECT_EQ(next_word(first_word(0x1000000, 0)), 0x22ce4859b9000001);
  EXPECT_EQ(first_word(0x1001000, 7), 0xac244703bcc15000);
  std::uint64_t word = first_word(0x9ffff000, 0xfffffffe);
  EXPECT_EQ(word, 0x795dfd6e783eb000);
  for (int n = 0; n < 511; ++n) word = next_word(word);
  EXPECT_EQ(word, 0x22aa4a40b11bf2c3);
}

TEST(HotPages, AreGoodWhereverThePassStopped) {
  for (const auto& parameters : {whole_pages, few_words}) {
    const std::uint64_t all = std::uint64_t{parameters.hot_pages} * parameters.words;
    for (const std::uint64_t rewritten :
         {std::uint64_t{0}, std::uint64_t{1}, all / 2, all / 2 + 1, all - 1, all})
      for (const std::uint64_t pass : {1ULL, 2ULL, 77ULL, 0x100000005ULL}) {
        WitnessMemory memory(parameters, pass, rewritten);
        const auto check = hot_check(memory, parameters, pass);
        EXPECT_EQ(check.bad_pages, 0) << pass << ' ' << rewritten << ": " << check.first_bad;
        EXPECT_EQ(check.pages, parameters.hot_pages);
      }
  }
}

TEST(HotPages, StaleOneIsFound) {
  WitnessMemory memory(whole_pages, 9, 50 * words_per_page);
  // A page from before that arrived too late: the pass has been there already.
  for (std::uint32_t n = 0; n < words_per_page; ++n) memory.word(20, n) = WitnessMemory::expected(20, n, 8);
  const auto check = hot_check(memory, whole_pages, 9);
  // From there on the check takes the pass for over, so what pass 9 wrote after it is wrong as well.
  EXPECT_EQ(check.bad_pages, 29);
  EXPECT_THAT(check.first_bad, HasSubstr("word 0 of the page at 0x1015000"));
  EXPECT_THAT(check.first_bad, HasSubstr("pass 8 last"));
}

TEST(HotPages, OneFromTwoPassesAgoIsFound) {
  WitnessMemory memory(whole_pages, 9, 50 * words_per_page);
  for (std::uint32_t n = 0; n < words_per_page; ++n) memory.word(80, n) = WitnessMemory::expected(80, n, 7);
  EXPECT_EQ(hot_check(memory, whole_pages, 9).bad_pages, 1);
}

TEST(HotPages, OneThatIsTornIsFound) {
  WitnessMemory memory(whole_pages, 9, 50 * words_per_page);
  // The second half of it has come, the first has not.
  for (std::uint32_t n = 256; n < words_per_page; ++n) memory.word(70, n) = WitnessMemory::expected(70, n, 9);
  EXPECT_EQ(hot_check(memory, whole_pages, 9).bad_pages, 1);
}

TEST(HotPages, OneInThePlaceOfAnotherIsFound) {
  WitnessMemory memory(whole_pages, 9, 0);
  for (std::uint32_t n = 0; n < words_per_page; ++n) std::swap(memory.word(3, n), memory.word(4, n));
  EXPECT_EQ(hot_check(memory, whole_pages, 9).bad_pages, 2);
}

TEST(HotPages, AnyWordThatChangedIsFound) {
  for (const auto& parameters : {whole_pages, few_words})
    for (const std::uint32_t n : {0U, 1U, 2U, 3U, 300U, 511U}) {
      WitnessMemory memory(parameters, 9, std::uint64_t{50} * parameters.words);
      memory.word(129, n) ^= 1ULL << 40;
      EXPECT_EQ(hot_check(memory, parameters, 9).bad_pages, 1) << n;
    }
}

TEST(HotPages, CounterThatDoesNotFitThePagesIsFound) {
  WitnessMemory memory(whole_pages, 9, 50 * words_per_page);
  EXPECT_EQ(hot_check(memory, whole_pages, 10).bad_pages, whole_pages.hot_pages - 50);
  EXPECT_EQ(hot_check(memory, whole_pages, 8).bad_pages, 50 + 80);
}

TEST(StaticPages, AreAllCheckedIfTheSampleIsLarge) {
  WitnessMemory memory(whole_pages, 9, 0);
  const auto check = static_check(memory);
  EXPECT_EQ(check.pages, 70);
  EXPECT_EQ(check.bad_pages, 0);
}

TEST(StaticPages, EveryWordThatChangedIsFound) {
  for (const std::uint32_t page : {130U, 131U, 199U})
    for (const std::uint32_t n : {0U, 255U, 511U}) {
      WitnessMemory memory(whole_pages, 9, 0);
      memory.word(page, n) = 0;
      const auto check = static_check(memory);
      EXPECT_EQ(check.bad_pages, 1);
      EXPECT_THAT(check.first_bad, HasSubstr(fmt::format("word {} of the page at {:#x} is 0x0000000000000000",
                                                         n, 0x1000000 + page * 4096)));
    }
}

TEST(StaticPages, SampleHasItsSize) {
  WitnessMemory memory(whole_pages, 9, 0);
  EXPECT_EQ(static_check(memory, 7).pages, 7);
  EXPECT_EQ(memory.reads(), 7);
}

TEST(StaticPages, MemoryThatCannotBeReadIsAnError) {
  WitnessMemory memory({.fill_pages = 150, .hot_pages = 130}, 9, 0);
  const auto check = check_static_pages(memory, whole_pages, 1000, 1);
  ASSERT_FALSE(check);
  EXPECT_THAT(check.error().what(), HasSubstr("not the guest's data"));
}

}  // namespace
}  // namespace godwit::cli::demo
