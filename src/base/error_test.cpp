#include <gtest/gtest.h>

#include <godwit/error.h>

#include "base/fail.h"

namespace godwit {
namespace {

TEST(Error, ExplainsCauseSidePhaseAndNextStep) {
  Error error = Error("Connection refused")
                    .in("Failed to connect to '127.0.0.1:1'")
                    .at(Side::source, "connecting")
                    .advise("start the destination first");
  EXPECT_EQ(error.what(), "Failed to connect to '127.0.0.1:1': Connection refused");
  EXPECT_EQ(error.explain(),
            "source, connecting: Failed to connect to '127.0.0.1:1': Connection refused. Next: start the "
            "destination first");
}

TEST(Error, TheLayerThatNoticedFirstIsKept) {
  Error error = Error("short").at(Side::destination, "loading ram").at(Side::source, "elsewhere");
  EXPECT_EQ(error.side(), Side::destination);
  EXPECT_EQ(error.phase(), "loading ram");
}

Result<int> half(int n) {
  if (n % 2 != 0) return fail("{} is odd", n);
  return n / 2;
}

Result<int> quarter(int n) {
  GODWIT_ASSIGN(int h, half(n));
  GODWIT_ASSIGN(int q, half(h));
  return q;
}

TEST(Result, TheErrorOfAStepIsTheErrorOfTheWhole) {
  EXPECT_EQ(quarter(8).value(), 2);
  ASSERT_FALSE(quarter(6).has_value());
  EXPECT_EQ(quarter(6).error().what(), "3 is odd");
}

TEST(Error, CopiesAreIndependent) {
  Error first("a");
  Error second = first;
  second = std::move(second).in("b");
  EXPECT_EQ(first.what(), "a");
  EXPECT_EQ(second.what(), "b: a");
}

}  // namespace
}  // namespace godwit
