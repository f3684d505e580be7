// One command and out, for scripts; or one for each line of standard input.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/qmp/event_filter.h"
#include "cli/qmp/session.h"

namespace godwit::cli::qmp {

/// The answer was an error, or an event that was waited for did not come in time.
constexpr int exit_refused = 1;
/// The command line is wrong, or there is no connection.
constexpr int exit_unusable = exit_usage;

struct OneShot {
  std::vector<std::string> words;   ///< of the command
  std::vector<EventFilter> events;  ///< the first that comes ends the wait; empty: there is none
  std::optional<std::chrono::milliseconds> timeout;  ///< for all of it
  bool raw = false;                                  ///< JSON on one line
  bool show_events = false;
};

/// How long an answer may take where nothing else is said.
constexpr std::chrono::milliseconds answer_timeout{30'000};

/// Runs the command; prints its return value, and the event that was waited for, on standard output. Returns
/// the exit status.
int run_one_shot(Session& session, const OneShot& wanted);

/// A request for each line of `input`; the answer to each on one line of standard output, in the same order.
int run_lines(Session& session, int input, const OneShot& wanted, const StopRequest& stop);

/// Tells the error on standard error.
void complain(const Error& error);

}  // namespace godwit::cli::qmp
