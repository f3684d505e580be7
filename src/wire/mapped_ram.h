// mapped-ram, newer than 7.2: each block of the block list is followed by its pages at fixed places of the
// file (wire-format section 16).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <godwit/stream.h>

namespace godwit::wire {

inline constexpr std::string_view mapped_ram_capability = "mapped-ram";

/// What follows a block's length in the block list. Offsets count from the start of the file.
struct MappedRam {
  std::uint64_t page_size = 0;      ///< bytes
  std::uint64_t bitmap_offset = 0;  ///< one bit for each page that is in the file; right behind this header
  std::uint64_t pages_offset = 0;   ///< page n is at pages_offset + n * page_size
  bool operator==(const MappedRam&) const = default;
};

/// The pages of every block begin at a multiple of this: 1 MiB, as peers place them.
inline constexpr std::uint64_t mapped_pages_alignment = 1 << 20;
/// How many bytes the header takes.
inline constexpr std::uint64_t mapped_header_size = 28;

/// Where everything of a block of `length` bytes is whose header stands at `header_offset` of the file.
MappedRam place_mapped_ram(std::uint64_t length, std::uint64_t header_offset);

void encode_mapped_ram(Output& out, const MappedRam& header);
/// For a block of `length` bytes. `file_offset` is where in the file the stream begins. Fails unless the
/// bitmap is right behind the header and the pages behind the bitmap.
Result<MappedRam> decode_mapped_ram(Input& in, std::uint64_t length, std::uint64_t file_offset);

/// The bitmap of a block of `length` bytes: bit p % 64 of word p / 64 is page p. It grows as it arrives.
/// Fails if a page past the end of the block is marked.
Result<std::vector<std::uint64_t>> decode_mapped_bitmap(Input& in, std::uint64_t length);
void encode_mapped_bitmap(Output& out, std::span<const std::uint64_t> words);

}  // namespace godwit::wire
