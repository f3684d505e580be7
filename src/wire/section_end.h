// Finds the end of a section whose data nobody here can read and whose length nobody has told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <godwit/stream.h>

namespace godwit::wire {

/// The most data of one such section that is looked at.
inline constexpr std::size_t unknown_section_limit = 64 * 1024 * 1024;

/// Reads data up to, without, the footer of section `id`: the first one behind which a record begins that
/// makes sense. The data grows as it arrives. Reads no byte behind the footer that the source does not have
/// to send. Fails if the stream ends, or `limit` is reached, before a footer is found.
Result<std::vector<std::byte>> read_to_footer(Input& in, std::uint32_t id,
                                              std::size_t limit = unknown_section_limit);

}  // namespace godwit::wire
