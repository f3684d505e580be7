// Many runs, by several processes, and what they came to.
#pragma once

#include <cstdint>

namespace godwit::engine::simulation {

struct CampaignOptions {
  std::uint64_t runs = 10'000;
  std::uint64_t first = 1;  ///< seed
  unsigned jobs = 0;        ///< 0: as many as there are processors
};

/// Prints what happened. False: something did not hold, a probe was never reached, something is left.
bool run_campaign(const CampaignOptions& options);

}  // namespace godwit::engine::simulation
