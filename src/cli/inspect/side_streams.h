// The streams of a migration that are not the main one.
#pragma once

#include "cli/inspect/collector.h"

namespace godwit::cli::inspect {

/// Each reads to the end of its stream.
Result<> read_return_path(Input& in, Inspection& found);
Result<> read_colo_answers(Input& in, Inspection& found);
Result<> read_urgent_channel(Input& in, Collector& collector);
Result<> read_multifd_channel(Input& in, Inspection& found, const CollectorOptions& options);

}  // namespace godwit::cli::inspect
