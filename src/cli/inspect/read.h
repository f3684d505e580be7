// Reads one stream from its first byte to its last, or to where it breaks.
#pragma once

#include <godwit/clock.h>

#include "cli/inspect/collector.h"
#include "cli/inspect/model.h"
#include "cli/inspect/ram_image.h"
#include "cli/inspect/source.h"

namespace godwit::cli::inspect {

struct ReadOptions {
  bool let_source_stop = false;  ///< see Answers
  bool check = false;            ///< look into everything that can be checked
  RamImage* image = nullptr;     ///< where RAM goes, if anywhere
  Clock* clock = nullptr;        ///< the machine's, if none is given
};

/// What is wrong with the stream is in the inspection; an error means that nothing could be read at all.
Result<Inspection> read_source(Source& source, const ReadOptions& options, const StopRequest& stop);

/// Reads a stream that is there already: in a test, in memory.
Inspection read_stream(Input& in, const CollectorOptions& collector, std::uint64_t file_offset);

/// The offset that an error of a decoder names; `otherwise` if it names none.
std::uint64_t offset_in(const Error& error, std::uint64_t otherwise);

}  // namespace godwit::cli::inspect
