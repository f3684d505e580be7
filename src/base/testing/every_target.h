// Runs a test once with each instruction set that Highway compiled for and this processor has.
#pragma once

#include <cstdint>
#include <hwy/highway.h>

namespace godwit::test {

/// One at a time; the choice is put back at the end.
class EveryTarget {
 public:
  EveryTarget() : targets_(hwy::SupportedTargets()) {}
  ~EveryTarget() {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }

  /// `body` gets the target's name.
  template <typename Body>
  void each(Body body) {
    for (std::int64_t rest = targets_; rest != 0; rest &= rest - 1) {
      const std::int64_t target = rest & -rest;
      hwy::SetSupportedTargetsForTest(target);
      hwy::GetChosenTarget().Update(hwy::SupportedTargets());
      body(hwy::TargetName(target));
    }
  }

 private:
  std::int64_t targets_;
};

}  // namespace godwit::test
