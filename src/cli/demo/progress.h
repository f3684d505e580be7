// How the figures of the demo look: on a terminal, a block of lines of its width; elsewhere, plain lines.
// Pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/screen.h"

namespace godwit::cli::demo {

/// The guest on its way to full memory.
struct FillFigures {
  std::chrono::milliseconds elapsed{};
  std::uint64_t filled_bytes = 0;
  std::uint64_t total_bytes = 0;
};

/// The guest on its way to the destination.
struct MoveFigures {
  std::chrono::milliseconds elapsed{};
  std::string status;  ///< as query-migrate names it
  std::uint64_t passes = 0;
  std::uint64_t transferred_bytes = 0;
  std::uint64_t remaining_bytes = 0;
  std::uint64_t total_bytes = 0;
  std::optional<double> dirty_bytes_per_second;    ///< in distinct pages, as the source counts it
  std::optional<double> written_bytes_per_second;  ///< as the guest itself counts it
  std::optional<double> bandwidth_bytes_per_second;
  std::optional<std::int64_t> expected_downtime_ms;
};

/// The pages on their way through the checks.
struct CheckFigures {
  std::string what;  ///< "hot pages, word for word"
  double share = 0;  ///< done, 0 to 1
};

std::vector<std::string> render(const FillFigures& figures, const Canvas& canvas);
std::vector<std::string> render(const MoveFigures& figures, const Canvas& canvas);
std::vector<std::string> render(const CheckFigures& figures, const Canvas& canvas);

std::string plain_line(const FillFigures& figures);
std::string plain_line(const MoveFigures& figures);

}  // namespace godwit::cli::demo
