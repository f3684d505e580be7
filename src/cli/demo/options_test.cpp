#include "cli/demo/options.h"

#include <gmock/gmock.h>

namespace godwit::cli::demo {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t mib = 1 << 20;

Options emulated() {
  Options options;
  options.accelerator = Accelerator::tcg;
  options.source_vmm = "sh";  // any program that is there
  return options;
}

TEST(DemoOptions, PutInWhatIsLeftOpen) {
  const auto options = complete(emulated());
  ASSERT_TRUE(options) << options.error().explain();
  EXPECT_GT(options->ram_bytes, 32 * mib);
  EXPECT_GT(options->hot_bytes, 0);
  EXPECT_EQ(options->destination_vmm, "sh");
}

TEST(DemoOptions, FillAllOfTheRamButItsEnds) {
  auto options = emulated();
  options.ram_bytes = 256 * mib;
  options.hot_bytes = 5 * mib + 1;
  const auto parameters = witness_parameters(*complete(options), 1e9);
  EXPECT_EQ(parameters.fill_pages, (256 - 16 - 4) * mib / 4096);
  EXPECT_EQ(parameters.hot_pages, 5 * mib / 4096);
  EXPECT_EQ(parameters.ticks_per_page, 0);
}

TEST(DemoOptions, FillNoMoreThanTheGuestReaches) {
  auto options = emulated();
  options.ram_bytes = 6144 * mib;
  EXPECT_EQ(witness_parameters(options, 1e9).fill_pages, 2560 * mib / 4096);
}

TEST(DemoOptions, TurnARateIntoTicks) {
  auto options = emulated();
  options.ram_bytes = 64 * mib;
  options.dirty_rate = 100 * mib;
  EXPECT_EQ(witness_parameters(options, 2.5e9).ticks_per_page, 97656);
  options.dirty_rate = 1;
  EXPECT_EQ(witness_parameters(options, 2.5e9).ticks_per_page, 0x7fffffff);
}

TEST(DemoOptions, RefuseWhatCannotWork) {
  auto options = emulated();
  options.ram_bytes = 16 * mib;
  EXPECT_THAT(complete(options).error().what(), HasSubstr("--size has to be 32 MiB or more"));

  options = emulated();
  options.ram_bytes = 64 * mib;
  options.hot_bytes = 60 * mib;
  EXPECT_THAT(complete(options).error().what(), HasSubstr("--hot is more than the 44 MiB"));

  options = emulated();
  options.destination_vmm = "/no/such/vmm";
  EXPECT_THAT(complete(options).error().explain(), HasSubstr("Next: name a VMM with --vmm"));
}

}  // namespace
}  // namespace godwit::cli::demo
