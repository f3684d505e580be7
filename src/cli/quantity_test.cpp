#include "cli/quantity.h"

#include <gmock/gmock.h>

namespace godwit::cli {
namespace {

constexpr std::uint64_t mib = 1 << 20;

TEST(Quantity, ReadsSizes) {
  EXPECT_EQ(parse_size("512M"), 512 * mib);
  EXPECT_EQ(parse_size("512"), 512 * mib);  // as -m of a VMM takes it
  EXPECT_EQ(parse_size("1.5G"), 1536 * mib);
  EXPECT_EQ(parse_size("2GiB"), 2048 * mib);
  EXPECT_EQ(parse_size("64k"), 65536);
  EXPECT_EQ(parse_size("1T"), mib * mib);
  EXPECT_EQ(parse_size("4096B"), 4096);
}

TEST(Quantity, RefusesWhatIsNoSize) {
  for (const char* text :
       {"", "M", "abc", "5X", "5MX", "-5M", "0", "0.0000001K", "1e300", "nan", "inf", "99999999T", "5 M"})
    EXPECT_FALSE(parse_size(text)) << text;
  EXPECT_EQ(parse_size("5X").error().what(),
            "'5X' is not a size: write a number and a unit, such as 512M or 2G");
}

TEST(Quantity, ReadsRates) {
  EXPECT_EQ(parse_rate("max"), 0);
  EXPECT_EQ(parse_rate("0"), 0);
  EXPECT_EQ(parse_rate("100M"), 100 * mib);
  EXPECT_EQ(parse_rate("100M/s"), 100 * mib);
  EXPECT_FALSE(parse_rate("fast"));
}

TEST(Quantity, WritesSizesWithThreeDigits) {
  EXPECT_EQ(size_text(0), "0 B");
  EXPECT_EQ(size_text(1023), "1023 B");
  EXPECT_EQ(size_text(1024), "1 KiB");
  EXPECT_EQ(size_text(1.5 * mib), "1.50 MiB");
  EXPECT_EQ(size_text(12.34 * mib), "12.3 MiB");
  EXPECT_EQ(size_text(512 * mib), "512 MiB");
  EXPECT_EQ(size_text(1023.7 * mib), "1 GiB");
  EXPECT_EQ(size_text(1.01 * 1024 * mib), "1.01 GiB");
  EXPECT_EQ(size_text(5000.0 * 1024 * 1024 * mib), "5000 TiB");
  EXPECT_EQ(rate_text(2.5 * mib), "2.50 MiB/s");
}

TEST(Quantity, WritesTimesAndCounts) {
  EXPECT_EQ(milliseconds_text(0.04), "0.0 ms");
  EXPECT_EQ(milliseconds_text(48.13), "48.1 ms");
  EXPECT_EQ(milliseconds_text(310.4), "310 ms");
  EXPECT_EQ(milliseconds_text(1420), "1.42 s");
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(1000), "1,000");
  EXPECT_EQ(count_text(12345678), "12,345,678");
}

}  // namespace
}  // namespace godwit::cli
