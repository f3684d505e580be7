#include "wire/ram.h"

#include <cassert>

#include "base/fail.h"

namespace godwit::wire {
namespace {

enum Flag : std::uint64_t {
  flag_zero = 0x02,
  flag_block_list = 0x04,
  flag_page = 0x08,
  flag_end = 0x10,
  flag_continue = 0x20,
  flag_xbzrle = 0x40,
  flag_hook = 0x80,
  flag_compressed = 0x100,
  flag_multifd_flush = 0x200,
};
constexpr std::uint64_t flag_mask = page_size - 1;
constexpr std::uint8_t xbzrle_encoding = 0x01;

constexpr std::uint64_t flag_of(PageKind kind) {
  switch (kind) {
    case PageKind::zero:
      return flag_zero;
    case PageKind::normal:
      return flag_page;
    case PageKind::end_of_section:
      return flag_end;
    case PageKind::xbzrle:
      return flag_xbzrle;
    case PageKind::compressed:
      return flag_compressed;
    case PageKind::hook:
      return flag_hook;
    case PageKind::multifd_flush:
      return flag_multifd_flush;
  }
  return 0;
}

/// The kind of a record from its flags, unless they are no kind.
constexpr std::optional<PageKind> kind_of(std::uint64_t flags) {
  for (const PageKind kind : {PageKind::zero, PageKind::normal, PageKind::xbzrle, PageKind::compressed})
    if ((flags & ~std::uint64_t{flag_continue}) == flag_of(kind)) return kind;
  for (const PageKind kind : {PageKind::end_of_section, PageKind::hook, PageKind::multifd_flush})
    if (flags == flag_of(kind)) return kind;
  return std::nullopt;
}

Result<BlockEntry> decode_block(Input& in, const BlockListFormat& format, std::uint64_t left) {
  BlockEntry block;
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(block.name, in.counted_text());
  if (block.name.empty())
    return fail("block list: expected the name of a block at offset {:#x}, got an empty one", offset);
  const std::uint64_t length_offset = in.offset();
  GODWIT_ASSIGN(block.length, in.be64());
  if (block.length % page_size != 0)
    return fail("block list: block '{}': expected a length in pages of {} bytes at offset {:#x}, got {:#x}",
                block.name, page_size, length_offset, block.length);
  if (block.length > left)
    return fail(
        "block list: block '{}': expected at most the {:#x} bytes that the total leaves at offset {:#x}, got "
        "{:#x}",
        block.name, left, length_offset, block.length);
  if (format.has_host_page_size && format.has_host_page_size(block.name)) {
    GODWIT_ASSIGN(block.host_page_size, in.be64());
  }
  if (format.has_guest_addresses) {
    GODWIT_ASSIGN(block.guest_address, in.be64());
  }
  return block;
}

void store_be64(std::byte* to, std::uint64_t value) {
  if constexpr (std::endian::native == std::endian::little) value = std::byteswap(value);
  std::memcpy(to, &value, sizeof value);
}

}  // namespace

void encode_block_list_head(Output& out, std::uint64_t total_length) {
  out.be64(total_length | flag_block_list);
}

void encode_block_entry(Output& out, const BlockEntry& block) {
  out.counted_text(block.name);
  out.be64(block.length);
  if (block.host_page_size) out.be64(*block.host_page_size);
  if (block.guest_address) out.be64(*block.guest_address);
}

void encode_block_list(Output& out, std::span<const BlockEntry> blocks) {
  std::uint64_t total = 0;
  for (const BlockEntry& block : blocks) total += block.length;
  encode_block_list_head(out, total);
  for (const BlockEntry& block : blocks) encode_block_entry(out, block);
}

Result<> BlockListReader::start(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint64_t head, in.be64());
  if ((head & flag_mask) != flag_block_list)
    return fail("expected the block list at offset {:#x}, got a record with flags {:#x}", offset,
                head & flag_mask);
  left_ = head & ~flag_mask;
  return {};
}

Result<BlockEntry> BlockListReader::next(Input& in) {
  const std::uint64_t offset = in.offset();
  if (names_.size() == block_count_limit)
    return fail("block list: expected at most {} blocks, got one more at offset {:#x}", block_count_limit,
                offset);
  GODWIT_ASSIGN(BlockEntry block, decode_block(in, format_, left_));
  left_ -= block.length;
  if (!names_.insert(block.name).second)
    return fail("block list: expected block '{}' once, it comes again at offset {:#x}", block.name, offset);
  return block;
}

Result<std::vector<BlockEntry>> decode_block_list(Input& in, const BlockListFormat& format) {
  BlockListReader reader(format);
  GODWIT_TRY(reader.start(in));
  std::vector<BlockEntry> blocks;
  while (!reader.done()) {
    GODWIT_ASSIGN(blocks.emplace_back(), reader.next(in));
  }
  return blocks;
}

Result<PageRecord> PageReader::other(Input& in, std::uint64_t value) {
  const std::uint64_t record_offset = in.offset();
  const std::uint64_t flags = value & flag_mask;
  const std::uint64_t offset = value & ~flag_mask;
  if (flags == (flag_zero | flag_continue) && offset < length_) [[likely]] {
    GODWIT_ASSIGN(const auto bytes, in.need(9));
    const auto fill = static_cast<std::uint8_t>(bytes[8]);
    in.skip(9);
    return PageRecord{PageKind::zero, true, fill, block_, 0, offset};
  }
  const auto kind = kind_of(flags);
  if (!kind) {
    if (flags == flag_block_list)
      return fail("expected a page or the end of the section at offset {:#x}, got a block list",
                  record_offset);
    return fail("expected a page or the end of the section at offset {:#x}, got a record with flags {:#x}",
                record_offset, flags);
  }
  in.skip(8);
  if (!is_page(*kind)) {
    if (offset != 0)
      return fail("expected a mark without an offset at offset {:#x}, got {:#x}", record_offset, value);
    return PageRecord{*kind, false, 0, 0, 0, 0};
  }
  const bool continued = (flags & flag_continue) != 0;
  if (!continued)
    GODWIT_TRY(find_block(in));
  else if (!known_)
    return fail(
        "expected the name of a block: the page record at offset {:#x} continues a block, but none was named "
        "yet",
        record_offset);
  if (offset >= length_)
    return fail(
        "page record at offset {:#x}: expected a page below {:#x}, the length of the block, got {:#x}",
        record_offset, length_, offset);
  return finish(in, {*kind, continued, 0, block_, 0, offset});
}

Result<> PageReader::find_block(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::size_t length, in.u8());
  GODWIT_ASSIGN(const auto bytes, in.need(length));
  auto block = find_block_(std::string_view(reinterpret_cast<const char*>(bytes.data()), length));
  if (!block)
    return std::unexpected(
        std::move(block).error().in(fmt::format("page record's block name at offset {:#x}", offset)));
  in.skip(length);
  known_ = true;
  block_ = block->index;
  length_ = block->length & ~flag_mask;
  return {};
}

Result<PageRecord> PageReader::finish(Input& in, PageRecord record) {
  const std::uint64_t body_offset = in.offset();
  if (record.kind == PageKind::zero) {
    GODWIT_ASSIGN(record.fill, in.u8());
  } else if (record.kind == PageKind::normal) {
    record.payload = page_size;
  } else if (record.kind == PageKind::xbzrle) {
    GODWIT_ASSIGN(const std::uint8_t encoding, in.u8());
    if (encoding != xbzrle_encoding)
      return fail("xbzrle page: expected encoding {} at offset {:#x}, got {}", xbzrle_encoding, body_offset,
                  encoding);
    GODWIT_ASSIGN(record.payload, in.be16());
    if (record.payload > page_size)
      return fail("xbzrle page: expected a length of at most {} at offset {:#x}, got {}", page_size,
                  body_offset + 1, record.payload);
  } else {
    GODWIT_ASSIGN(record.payload, in.be32());
    if (record.payload == 0 || record.payload > compressed_page_limit)
      return fail("compressed page: expected a length from 1 to {} at offset {:#x}, got {}",
                  compressed_page_limit, body_offset, record.payload);
  }
  return record;
}

std::size_t encode_page_header(std::byte* out, PageKind kind, std::uint64_t offset, bool continued,
                               std::string_view name) {
  if (!is_page(kind)) {
    store_be64(out, flag_of(kind));
    return 8;
  }
  assert((offset & flag_mask) == 0);
  store_be64(out, offset | flag_of(kind) | (continued ? std::uint64_t{flag_continue} : 0));
  if (continued) return 8;
  assert(!name.empty() && name.size() <= 255);
  out[8] = static_cast<std::byte>(name.size());
  std::memcpy(out + 9, name.data(), name.size());
  return 9 + name.size();
}

std::size_t encode_payload_length(std::byte* out, PageKind kind, std::size_t length) {
  if (kind == PageKind::xbzrle) {
    assert(length <= page_size);
    out[0] = std::byte{xbzrle_encoding};
    out[1] = static_cast<std::byte>(length >> 8);
    out[2] = static_cast<std::byte>(length);
    return 3;
  }
  assert(kind == PageKind::compressed && length > 0 && length <= compressed_page_limit);
  for (std::size_t i = 0; i < 4; ++i) out[i] = static_cast<std::byte>(length >> (24 - 8 * i));
  return 4;
}

void encode_end_of_section(Output& out) {
  out.be64(flag_end);
}

Result<> decode_end_of_section(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint64_t value, in.be64());
  if (value != flag_end)
    return fail("expected the end mark of the section's data ({:#x}) at offset {:#x}, got {:#x}",
                std::uint64_t{flag_end}, offset, value);
  return {};
}

}  // namespace godwit::wire
