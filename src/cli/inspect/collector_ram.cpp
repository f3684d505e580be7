// What the collector does with RAM.
#include <algorithm>
#include <array>

#include "base/fail.h"
#include "cli/inspect/collector.h"
#include "wire/xbzrle.h"

namespace godwit::cli::inspect {

using wire::PageKind;

Result<> Collector::on_block_list(std::span<const wire::BlockEntry> blocks) {
  // A recovery connection names its blocks one by one; what was counted stays.
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (i == found_.blocks.size()) found_.blocks.emplace_back();
    found_.blocks[i].entry = blocks[i];
  }
  counted_to_ = in_.offset();
  return options_.image == nullptr ? Result<>{} : options_.image->add_blocks(blocks);
}

Result<wire::KnownBlock> Collector::block_named(std::string_view name) {
  auto block =
      std::ranges::find(found_.blocks, name, [](const Block& b) { return std::string_view(b.entry.name); });
  if (block == found_.blocks.end()) {
    if (found_.blocks.size() == wire::block_count_limit)
      return fail("expected at most {} blocks", wire::block_count_limit);
    std::vector<wire::BlockEntry> entries;
    for (const Block& known : found_.blocks) entries.push_back(known.entry);
    entries.push_back({std::string(name), wire::unknown_block_length, {}, {}});
    GODWIT_TRY(on_block_list(entries));
    block = found_.blocks.end() - 1;
  }
  return wire::KnownBlock{static_cast<std::uint32_t>(block - found_.blocks.begin()), block->entry.length};
}

Result<> Collector::on_mapped_block(const wire::BlockEntry& block, const wire::MappedRam& header,
                                    std::span<const std::uint64_t> bitmap) {
  mapped_blocks_.push_back(block);
  GODWIT_TRY(on_block_list(mapped_blocks_));
  Block& shown = found_.blocks.back();
  shown.mapped = header;
  for (const std::uint64_t word : bitmap)
    shown.pages.normal += static_cast<std::uint64_t>(std::popcount(word));
  shown.distinct = shown.pages.normal;
  shown.wire_bytes = shown.pages.normal * page_size;
  return {};
}

Result<> Collector::on_mapped_page(const wire::BlockEntry&, std::uint64_t offset, Input& in) {
  if (options_.image == nullptr) return in.discard(page_size);
  GODWIT_ASSIGN(const auto page, in.need(page_size));
  GODWIT_TRY(options_.image->write(static_cast<std::uint32_t>(mapped_blocks_.size() - 1), offset, page));
  in.skip(page_size);
  return {};
}

Result<> Collector::on_ram_record(const wire::PageRecord& record, const wire::BlockEntry* block, Input& in) {
  if (block == nullptr) {
    counted_to_ = in.offset();
    return {};
  }
  return page(record, in);
}

Result<> Collector::page(const wire::PageRecord& record, Input& in) {
  count_page(record);
  GODWIT_TRY(keep_page(record, in));
  const std::uint64_t bytes = in.offset() - counted_to_;
  counted_to_ = in.offset();
  found_.blocks[record.block].wire_bytes += bytes;
  if (!found_.passes.empty()) found_.passes.back().wire_bytes += bytes;
  return {};
}

void Collector::count_page(const wire::PageRecord& record) {
  Block& block = found_.blocks[record.block];
  switch (record.kind) {
    case PageKind::zero:
      ++(record.fill == 0 ? block.pages.zero : block.pages.filled);
      break;
    case PageKind::normal:
      ++block.pages.normal;
      break;
    case PageKind::xbzrle:
      ++block.pages.xbzrle;
      break;
    default:
      ++block.pages.compressed;
      any_compressed_ = true;
      break;
  }
  const bool is_new = seen_.add(record.block, record.offset / page_size);
  if (is_new) ++block.distinct;
  if (seen_.overflowed()) found_.distinct_known = false;
  if (postcopy_) {
    ++found_.postcopy_pages;
    return;
  }
  // The scan goes upward; where it goes back, another pass has begun. Compressing threads mix up the order of
  // the first pass, in which no page comes twice.
  const bool backward =
      record.block < last_block_ || (record.block == last_block_ && record.offset <= last_offset_);
  const bool wrapped = backward && !(any_compressed_ && is_new);
  if (found_.passes.empty() || (wrapped && found_.passes.size() < pass_limit)) found_.passes.emplace_back();
  last_block_ = record.block;
  last_offset_ = record.offset;
  ++found_.passes.back().pages;
}

Result<> Collector::keep_page(const wire::PageRecord& record, Input& in) {
  if (options_.image == nullptr) return check_page(record, in);
  if (record.kind == PageKind::zero)
    return options_.image->fill(record.block, record.offset, static_cast<std::byte>(record.fill));
  GODWIT_ASSIGN(const auto payload, in.need(record.payload));
  GODWIT_TRY(apply(record, payload));
  in.skip(record.payload);
  return {};
}

/// A compressed page says by itself whether it is whole; a delta needs the page that it changes.
Result<> Collector::check_page(const wire::PageRecord& record, Input& in) {
  if (!options_.check_pages || record.kind != PageKind::compressed) return in.discard(record.payload);
  GODWIT_ASSIGN(const auto payload, in.need(record.payload));
  GODWIT_TRY(decompressor_.decompress(payload, std::span<std::byte, page_size>(page_), in.offset()));
  in.skip(record.payload);
  return {};
}

Result<> Collector::apply(const wire::PageRecord& record, std::span<const std::byte> payload) {
  if (record.kind == PageKind::normal) return options_.image->write(record.block, record.offset, payload);
  const std::span<std::byte, page_size> page(page_);
  if (record.kind == PageKind::xbzrle) {
    GODWIT_TRY(options_.image->read(record.block, record.offset, page));
    GODWIT_TRY(wire::apply_xbzrle(payload, page, in_.offset()));
  } else {
    GODWIT_TRY(decompressor_.decompress(payload, page, in_.offset()));
  }
  return options_.image->write(record.block, record.offset, page);
}

}  // namespace godwit::cli::inspect
