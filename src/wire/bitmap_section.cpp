#include "wire/bitmap_section.h"

#include <bit>
#include <cassert>

#include "base/fail.h"

namespace godwit::wire {
namespace {

constexpr std::uint32_t flag_end = 0x01;
constexpr std::uint32_t flag_zeroes = 0x02;
constexpr std::uint32_t flag_bitmap_name = 0x04;
constexpr std::uint32_t flag_node_name = 0x08;
constexpr std::uint32_t flag_start = 0x10;
constexpr std::uint32_t flag_complete = 0x20;
constexpr std::uint32_t flag_bits = 0x40;
constexpr std::uint32_t flag_more = 0x80;
constexpr std::uint32_t kind_flags = flag_start | flag_complete | flag_bits;
constexpr std::uint32_t known_flags = 0x7f;

constexpr int bitmap_enabled = 0x01;
constexpr int bitmap_persistent = 0x02;
constexpr int bitmap_ignored = 0x04;

/// One byte, or two or four with the highest bit of the first, and of the second, set.
Result<std::uint32_t> decode_flags(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint32_t first, in.u8());
  if ((first & flag_more) == 0) return first;
  GODWIT_ASSIGN(const std::uint32_t second, in.u8());
  std::uint32_t flags = (first & ~flag_more) << 8 | (second & ~flag_more);
  if ((second & flag_more) != 0) {
    GODWIT_ASSIGN(const std::uint16_t rest, in.be16());
    flags = flags << 16 | rest;
  }
  if ((flags & ~known_flags) != 0)
    return fail("bitmap chunk: expected flags up to {:#x} at offset {:#x}, got {:#x}", known_flags, offset,
                flags);
  return flags;
}

Result<std::string> decode_name(Input& in, std::string_view what) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(std::string name, in.counted_text());
  if (name.empty())
    return fail("bitmap chunk: expected the name of a {} at offset {:#x}, got an empty one", what, offset);
  return name;
}

Result<> decode_start(Input& in, BitmapChunk& chunk) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(chunk.granularity, in.be32());
  if (!std::has_single_bit(chunk.granularity))
    return fail("bitmap chunk: expected a granularity that is a power of two at offset {:#x}, got {}", offset,
                chunk.granularity);
  GODWIT_ASSIGN(const std::uint8_t flags, in.u8());
  if ((flags & ~(bitmap_enabled | bitmap_persistent | bitmap_ignored)) != 0)
    return fail("bitmap chunk: expected a bitmap's flags up to 0x7 at offset {:#x}, got {:#x}", offset + 4,
                flags);
  chunk.enabled = (flags & bitmap_enabled) != 0;
  chunk.persistent = (flags & bitmap_persistent) != 0;
  chunk.ignored = (flags & bitmap_ignored) != 0;
  return {};
}

Result<> decode_bits(Input& in, BitmapChunk& chunk) {
  GODWIT_ASSIGN(chunk.first_sector, in.be64());
  GODWIT_ASSIGN(chunk.sectors, in.be32());
  if (chunk.zeroes) return {};
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint64_t size, in.be64());
  if (size > bitmap_buffer_limit)
    return fail("bitmap chunk: expected at most {} bytes of bits at offset {:#x}, got {}",
                bitmap_buffer_limit, offset, size);
  chunk.payload = static_cast<std::uint32_t>(size);
  return {};
}

Result<BitmapChunk::Kind> kind_of(std::uint32_t flags, std::uint64_t offset) {
  switch (flags & kind_flags) {
    case flag_start:
      return BitmapChunk::Kind::start;
    case flag_complete:
      return BitmapChunk::Kind::complete;
    case flag_bits:
      return BitmapChunk::Kind::bits;
    case 0:
      if ((flags & flag_end) != 0) return BitmapChunk::Kind::end;
      break;
    default:
      break;
  }
  return fail(
      "bitmap chunk: expected a start, bits, a completion or the end at offset {:#x}, got flags {:#x}",
      offset, flags);
}

}  // namespace

void encode_bitmap_chunk(Output& out, const BitmapChunk& chunk) {
  const bool start = chunk.kind == BitmapChunk::Kind::start;
  const bool bits = chunk.kind == BitmapChunk::Kind::bits;
  std::uint32_t flags = chunk.end || chunk.kind == BitmapChunk::Kind::end ? flag_end : 0;
  if (start) flags |= flag_start;
  if (bits) flags |= flag_bits;
  if (chunk.kind == BitmapChunk::Kind::complete) flags |= flag_complete;
  if (chunk.zeroes) flags |= flag_zeroes;
  if (chunk.node) flags |= flag_node_name;
  if (chunk.bitmap) flags |= flag_bitmap_name;
  out.u8(static_cast<std::uint8_t>(flags));
  if (chunk.node) out.counted_text(*chunk.node);
  if (chunk.bitmap) out.counted_text(*chunk.bitmap);
  if (start) {
    out.be32(chunk.granularity);
    out.u8(static_cast<std::uint8_t>((chunk.enabled ? bitmap_enabled : 0) |
                                     (chunk.persistent ? bitmap_persistent : 0) |
                                     (chunk.ignored ? bitmap_ignored : 0)));
  }
  if (!bits) return;
  out.be64(chunk.first_sector);
  out.be32(chunk.sectors);
  if (!chunk.zeroes) out.be64(chunk.payload);
}

Result<> BitmapReader::names(Input& in, std::uint32_t flags, std::uint64_t offset, BitmapChunk& chunk) {
  if ((flags & flag_node_name) != 0) {
    GODWIT_ASSIGN(node_, decode_name(in, "node"));
    chunk.node = node_;
  }
  if ((flags & flag_bitmap_name) != 0) {
    GODWIT_ASSIGN(bitmap_, decode_name(in, "bitmap"));
    chunk.bitmap = bitmap_;
  }
  if (chunk.kind != BitmapChunk::Kind::end && (node_.empty() || bitmap_.empty()))
    return fail("bitmap chunk: expected the names of a node and a bitmap in the first chunk, at offset {:#x}",
                offset);
  return {};
}

Result<BitmapChunk> BitmapReader::next(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint32_t flags, decode_flags(in));
  BitmapChunk chunk;
  GODWIT_ASSIGN(chunk.kind, kind_of(flags, offset));
  chunk.end = (flags & flag_end) != 0;
  chunk.zeroes = (flags & flag_zeroes) != 0;
  if (chunk.zeroes && chunk.kind != BitmapChunk::Kind::bits)
    return fail(
        "bitmap chunk: expected the mark of clear bits only with bits at offset {:#x}, got flags {:#x}",
        offset, flags);
  GODWIT_TRY(names(in, flags, offset, chunk));
  if (chunk.kind == BitmapChunk::Kind::start) GODWIT_TRY(decode_start(in, chunk));
  if (chunk.kind == BitmapChunk::Kind::bits) GODWIT_TRY(decode_bits(in, chunk));
  return chunk;
}

}  // namespace godwit::wire
