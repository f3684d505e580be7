// One simulated migration, from its seed to the verdict.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/simulation/fault_plan.h"

namespace godwit::engine::simulation {

struct Outcome {
  /// What must not be, and was. Empty: all held.
  std::vector<std::string> violations;
  /// A thread did not come to its end: the process cannot go on.
  bool hangs = false;
  /// How it ended, for the statistics of a campaign: "ran at the source", ...
  std::string ended;
  std::array<unsigned, static_cast<std::size_t>(Fault::count)> happened{};
};

Outcome simulate(const Plan& plan);

}  // namespace godwit::engine::simulation
