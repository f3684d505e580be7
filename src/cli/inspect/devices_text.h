// The devices of an inspection for people.
#pragma once

#include "cli/inspect/text.h"

namespace godwit::cli::inspect {

std::string devices_text(const Inspection& found, const TextOptions& options);

}  // namespace godwit::cli::inspect
