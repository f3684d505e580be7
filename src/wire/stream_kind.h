// Which of the byte streams of a migration this is, by its first bytes.
#pragma once

#include <cstdint>
#include <string_view>

#include <godwit/stream.h>

namespace godwit::wire {

enum class StreamKind : std::uint8_t {
  main,          ///< file header, records
  recovery,      ///< records alone: the connection that goes on after a break of postcopy
  multifd,       ///< a channel of multifd
  urgent,        ///< page records alone: the second channel of postcopy-preempt
  return_path,   ///< what the destination answers
  colo_answers,  ///< what the secondary of COLO answers
};

/// "main stream", "recovery connection", ...
std::string_view to_string(StreamKind kind);

/// Consumes nothing. Reads no byte that is not needed to tell.
Result<StreamKind> detect_stream_kind(Input& in);

}  // namespace godwit::wire
