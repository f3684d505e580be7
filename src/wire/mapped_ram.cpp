#include "wire/mapped_ram.h"

#include <bit>
#include <limits>

#include <godwit/ram_block.h>

#include "base/fail.h"

namespace godwit::wire {
namespace {

constexpr std::uint32_t mapped_version = 1;

std::uint64_t bitmap_words(std::uint64_t length) {
  const std::uint64_t pages = length / page_size;
  return pages / 64 + (pages % 64 != 0 ? 1 : 0);
}

}  // namespace

MappedRam place_mapped_ram(std::uint64_t length, std::uint64_t header_offset) {
  const std::uint64_t bitmap = header_offset + mapped_header_size;
  const std::uint64_t bitmap_end = bitmap + bitmap_words(length) * 8;
  const std::uint64_t pages =
      (bitmap_end + mapped_pages_alignment - 1) / mapped_pages_alignment * mapped_pages_alignment;
  return {.page_size = page_size, .bitmap_offset = bitmap, .pages_offset = pages};
}

void encode_mapped_ram(Output& out, const MappedRam& header) {
  out.be32(mapped_version);
  out.be64(header.page_size);
  out.be64(header.bitmap_offset);
  out.be64(header.pages_offset);
}

Result<MappedRam> decode_mapped_ram(Input& in, std::uint64_t length, std::uint64_t file_offset) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint32_t version, in.be32());
  if (version != mapped_version)
    return fail("mapped-ram: expected version {} at offset {:#x}, got {}", mapped_version, offset, version);
  MappedRam header;
  GODWIT_ASSIGN(header.page_size, in.be64());
  if (header.page_size != page_size)
    return fail("mapped-ram: expected pages of {} bytes at offset {:#x}, got {}", page_size, offset + 4,
                header.page_size);
  GODWIT_ASSIGN(header.bitmap_offset, in.be64());
  GODWIT_ASSIGN(header.pages_offset, in.be64());
  const std::uint64_t here = in.offset() + file_offset;
  if (header.bitmap_offset != here)
    return fail("mapped-ram: expected the bitmap right behind its header, {:#x}, at offset {:#x}, got {:#x}",
                here, offset + 12, header.bitmap_offset);
  const std::uint64_t bitmap_end = here + bitmap_words(length) * 8;
  if (header.pages_offset < bitmap_end)
    return fail("mapped-ram: expected the pages behind the bitmap, {:#x}, at offset {:#x}, got {:#x}",
                bitmap_end, offset + 20, header.pages_offset);
  if (header.pages_offset > std::numeric_limits<std::uint64_t>::max() - length)
    return fail("mapped-ram: expected pages that end below 2^64 at offset {:#x}, got {:#x}", offset + 20,
                header.pages_offset);
  return header;
}

Result<std::vector<std::uint64_t>> decode_mapped_bitmap(Input& in, std::uint64_t length) {
  std::vector<std::uint64_t> words;
  const std::uint64_t offset = in.offset();
  for (std::uint64_t left = bitmap_words(length); left > 0; --left) {
    GODWIT_ASSIGN(const std::uint64_t wire_word, in.be64());
    words.push_back(std::byteswap(wire_word));  // little-endian on the wire
  }
  const std::uint64_t rest = length / page_size % 64;
  if (rest != 0 && words.back() >> rest != 0)
    return fail("mapped-ram: the bitmap at offset {:#x}: expected no page past the end of the block", offset);
  return words;
}

void encode_mapped_bitmap(Output& out, std::span<const std::uint64_t> words) {
  for (const std::uint64_t word : words) out.be64(std::byteswap(word));
}

}  // namespace godwit::wire
