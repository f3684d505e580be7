#include "vm/accel/choose.h"

#include <gmock/gmock.h>

#include "base/testing/not_tested_here.h"
#include "vm/testing/machine_rig.h"

namespace godwit::vm {
namespace {

using ::testing::HasSubstr;

TEST(ChooseAccelerator, SkipsWhatNobodyKnows) {
  const auto chosen =
      choose_accelerator({{.name = "hvf"}, {.name = "qtest"}, {.name = "kvm"}}, "", MachineKind::pc);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->accelerator->name(), "qtest");
  EXPECT_EQ(chosen->note, "");
}

TEST(ChooseAccelerator, OnlyUnknownOnesIsAnError) {
  const auto chosen = choose_accelerator({{.name = "hvf"}}, "", MachineKind::pc);
  ASSERT_FALSE(chosen);
  EXPECT_THAT(chosen.error().what(), HasSubstr("no accelerator"));
}

TEST(ChooseAccelerator, ATrailingQtestDoesNotWin) {
  if (!testing::has_unicorn()) NOT_TESTED_HERE() << "this build has no Unicorn";
  const auto chosen = choose_accelerator({{.name = "tcg"}, {.name = "qtest"}}, "", MachineKind::pc);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->accelerator->name(), "tcg");
}

TEST(ChooseAccelerator, AMachineWithoutProcessorsNeedsNothing) {
  const auto chosen = choose_accelerator({{.name = "tcg"}}, "", MachineKind::none);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->accelerator->name(), "tcg");
}

TEST(ChooseAccelerator, FallsBackToUnicornAndSaysSo) {
  if (!testing::has_unicorn()) NOT_TESTED_HERE() << "this build has no Unicorn";
  // A ring larger than any kernel has: KVM cannot be used as asked.
  const std::vector<AcceleratorRequest> impossible = {{.name = "kvm", .dirty_ring_size = 1u << 31},
                                                      {.name = "qtest"}};
  const auto chosen = choose_accelerator(impossible, "", MachineKind::pc);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->accelerator->name(), "tcg");
  EXPECT_THAT(chosen->note, HasSubstr("Unicorn runs the guest instead"));
}

}  // namespace
}  // namespace godwit::vm
