// An inspection for people.
#pragma once

#include <string>

#include "cli/inspect/model.h"
#include "cli/screen.h"

namespace godwit::cli::inspect {

struct TextOptions {
  bool all_fields = false;  ///< also those that are 0, and all of a long order
  std::string device;       ///< only devices whose name contains it, and nothing else
  Canvas canvas;
};

std::string to_text(const Inspection& found, const TextOptions& options);

/// One line: whole, or where and why not.
std::string verdict_text(const Inspection& found);

/// Why the stream is broken: empty if it is not.
std::string problem_text(const Inspection& found);

}  // namespace godwit::cli::inspect
