// One simulated migration, from its seed to the verdict.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/simulation/fault_plan.h"
#include "engine/simulation/host_memory.h"
#include "engine/simulation/network.h"

namespace godwit::engine::simulation {

/// How a run ended, for the statistics of a campaign.
enum class Ended : std::uint8_t {
  cancelled,
  failed,
  completed,
  without_source,
  lost_with_source,
  lost_with_destination,
  undecided,
  count
};

std::string_view to_string(Ended ended);

struct Outcome {
  /// What must not be, and was. Empty: all held.
  std::vector<std::string> violations;
  /// A thread did not come to its end: the process cannot go on.
  bool hangs = false;
  Ended ended = Ended::count;
  FaultCounts happened{};
};

Outcome simulate(const Plan& plan, HostMemory& memory);

}  // namespace godwit::engine::simulation
