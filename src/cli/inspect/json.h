// An inspection for programs. docs/inspect.md describes the document.
#pragma once

#include <boost/json.hpp>

#include "cli/inspect/model.h"

namespace godwit::cli::inspect {

boost::json::object to_json(const Inspection& found);

}  // namespace godwit::cli::inspect
