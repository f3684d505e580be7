// The sections that the walker knows.
#include <algorithm>
#include <bit>

#include "base/fail.h"
#include "wire/walker.h"

namespace godwit::wire {

Result<> StreamWalker::ram(RecordType type) {
  if (type == RecordType::section_start) GODWIT_TRY(block_list());
  for (;;) {
    GODWIT_ASSIGN(const PageRecord record, pages_.next(in_));
    GODWIT_TRY(visitor_.on_ram_record(record, is_page(record.kind) ? &blocks_[record.block] : nullptr, in_));
    if (record.kind == PageKind::end_of_section) return {};
  }
}

Result<> StreamWalker::block_list() {
  BlockListFormat format = options_.block_list;
  Result<> peeked;
  if (!format.has_host_page_size && host_page_sizes_ > page_size)
    format.has_host_page_size = [&](std::string_view) {
      auto follows = page_size_follows();
      if (!follows) peeked = std::unexpected(std::move(follows).error());
      return follows.value_or(false);
    };
  BlockListReader reader(format);
  GODWIT_TRY(reader.start(in_));
  blocks_.clear();
  pages_.forget();
  while (!reader.done()) {
    GODWIT_ASSIGN(BlockEntry block, reader.next(in_));
    GODWIT_TRY(std::move(peeked));
    peeked = {};
    if (mapped_ram_) GODWIT_TRY(mapped_block(block));
    blocks_.push_back(std::move(block));
  }
  return visitor_.on_block_list(blocks_);
}

/// Whether the next eight bytes are one of the page sizes that ADVISE has named, other than the host's own. A
/// name or the end mark, which could stand there too, never look like one.
Result<bool> StreamWalker::page_size_follows() {
  GODWIT_ASSIGN(const auto bytes, in_.need(8));
  std::uint64_t value = 0;
  for (const std::byte byte : bytes) value = value << 8 | static_cast<std::uint64_t>(byte);
  return std::has_single_bit(value) && value > page_size && (value & host_page_sizes_) != 0;
}

Result<> StreamWalker::mapped_block(const BlockEntry& block) {
  GODWIT_ASSIGN(const MappedRam header, decode_mapped_ram(in_, block.length, options_.file_offset));
  GODWIT_ASSIGN(const auto bitmap, decode_mapped_bitmap(in_, block.length));
  GODWIT_TRY(visitor_.on_mapped_block(block, header, bitmap));
  GODWIT_TRY(in_.discard(header.pages_offset - options_.file_offset - in_.offset()));
  return mapped_pages(block, bitmap);
}

Result<> StreamWalker::mapped_pages(const BlockEntry& block, std::span<const std::uint64_t> bitmap) {
  const std::uint64_t start = in_.offset();
  for (std::size_t i = 0; i < bitmap.size(); ++i) {
    for (std::uint64_t word = bitmap[i]; word != 0; word &= word - 1) {
      const std::uint64_t offset = (i * 64 + static_cast<unsigned>(std::countr_zero(word))) * page_size;
      GODWIT_TRY(in_.discard(start + offset - in_.offset()));
      GODWIT_TRY(visitor_.on_mapped_page(block, offset, in_));
    }
  }
  return in_.discard(start + block.length - in_.offset());
}

Result<> StreamWalker::disks() {
  for (;;) {
    GODWIT_ASSIGN(const DiskRecord record, decode_disk_record(in_));
    GODWIT_TRY(visitor_.on_disk_record(record, in_));
    if (record.end) return {};
  }
}

Result<> StreamWalker::bitmaps() {
  for (;;) {
    GODWIT_ASSIGN(const BitmapChunk chunk, bitmap_reader_.next(in_));
    GODWIT_TRY(visitor_.on_bitmap_chunk(chunk, bitmap_reader_, in_));
    if (chunk.end) return {};
  }
}

Result<KnownBlock> StreamWalker::find_block(std::string_view name) const {
  const auto block = std::ranges::find(blocks_, name, &BlockEntry::name);
  if (block == blocks_.end()) return fail("expected a block of the block list, got '{}'", name);
  return KnownBlock{static_cast<std::uint32_t>(block - blocks_.begin()), block->length};
}

}  // namespace godwit::wire
