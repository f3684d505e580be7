// Everything the demo found out, and its verdict.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include <godwit/schema/types.h>

#include "cli/demo/guest_clock.h"
#include "cli/demo/options.h"
#include "cli/demo/witness_pages.h"
#include "cli/screen.h"

namespace godwit::cli::demo {

/// How the move went, by the words of the two VMMs.
struct MoveResult {
  bool completed = false;
  std::string status;  ///< the last one
  schema::MigrationStats ram;
  std::int64_t total_ms = 0;
  std::int64_t setup_ms = 0;
  std::int64_t downtime_ms = 0;             ///< as the source reports it
  std::optional<double> stop_to_resume_ms;  ///< by the time stamps of the two events
  HostTime stopped;
  HostTime resumed;
};

/// What the checks of the guest on the destination found.
struct Findings {
  std::uint64_t guest_checked_words = 0;  ///< compared by the guest since before the move
  std::uint64_t guest_errors = 0;         ///< of these, words that were not what had been written
  std::uint64_t page_writes = 0;          ///< by the guest since before the move
  PageCheck hot;                          ///< every word, from outside
  PageCheck sampled;                      ///< static pages, word for word, from outside
  std::uint64_t static_pages = 0;         ///< checked by the guest
  Blackout blackout;
  bool runs_on = false;
};

struct Report {
  Options options;
  WitnessParameters parameters;
  std::string source_version;
  std::string destination_version;
  int source_pid = 0;
  int destination_pid = 0;
  std::string uri;
  double fill_seconds = 0;
  double written_bytes_per_second = 0;  ///< by the guest before the move
  double ticks_per_second = 0;
  std::optional<MoveResult> move;
  std::optional<Findings> findings;
  /// Why the demo could not get to its end; empty if it did.
  std::string error;
  /// After a move that did not take place: whether the guest runs on where it was, unharmed.
  std::optional<bool> runs_on_source;
};

/// What is wrong, one sentence each; empty: nothing was lost, and the guest runs on.
std::vector<std::string> problems(const Report& report);

enum class Verdict : std::uint8_t {
  ok,         ///< it moved, and all is as it has to be
  lost,       ///< it moved, or tried to, and not all is as it has to be
  not_moved,  ///< it runs on where it was, unharmed
  unknown,    ///< the demo did not get that far
};

/// "ok", "lost", "not-moved", "unknown".
std::string_view to_string(Verdict verdict);

Verdict verdict(const Report& report);

/// The whole as one JSON object. Sizes are in bytes, times in milliseconds unless named otherwise.
boost::json::object to_json(const Report& report);

/// The end of the demo for a person, line by line.
std::vector<std::string> summary(const Report& report, const Canvas& canvas);

}  // namespace godwit::cli::demo
