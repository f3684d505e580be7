#include "engine/incoming/page_placer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/fail.h"
#include "base/log.h"

namespace godwit::engine {
namespace {

bool is_zeros(const wire::PageRecord& record) {
  return record.kind == wire::PageKind::zero && record.fill == 0;
}

}  // namespace

PagePlacer::PagePlacer(std::span<const RamBlock> blocks, memory::PostcopyMemory& memory,
                       MissingPages& missing, Placed placed)
    : blocks_(blocks), memory_(memory), missing_(missing), placed_(std::move(placed)) {
  std::uint64_t largest = page_size;
  for (const RamBlock& block : blocks_) largest = std::max(largest, block.host_page_size);
  buffer_.resize(largest);
}

Result<> PagePlacer::take(Input& in, const wire::PageRecord& record) {
  if (record.kind != wire::PageKind::normal && record.kind != wire::PageKind::zero &&
      record.kind != wire::PageKind::compressed)
    return fail("a page at offset 0x{:x} of the stream is encoded in a way that postcopy does not know",
                in.offset());
  return blocks_[record.block].host_page_size == page_size ? take_small(in, record) : take_part(in, record);
}

Result<> PagePlacer::take_small(Input& in, const wire::PageRecord& record) {
  if (!missing_.contains(record.block, record.offset)) {
    if (unwanted_++ == 0)
      log::warn(
          "the source sends the page at 0x{:x} of RAM block '{}', which is here already; it is not used",
          record.offset, blocks_[record.block].name);
    return in.discard(record.kind == wire::PageKind::normal ? page_size : record.payload);
  }
  if (record.kind == wire::PageKind::normal) {
    GODWIT_ASSIGN(const auto content, in.need(page_size));
    GODWIT_TRY(memory_.place(record.block, record.offset, content.data()));
    in.skip(page_size);
  } else if (is_zeros(record)) {
    // Nobody waits for most of them. Who touches one later is given it then, as those that came before the
    // switch: see FaultHandler.
    if (missing_.is_asked(record.block, record.offset))
      GODWIT_TRY(memory_.place_zeros(record.block, record.offset));
  } else {
    GODWIT_TRY(read_into(buffer_.data(), in, record));
    GODWIT_TRY(memory_.place(record.block, record.offset, buffer_.data()));
  }
  done(record.block, record.offset);
  return {};
}

Result<> PagePlacer::take_part(Input& in, const wire::PageRecord& record) {
  const std::uint64_t size = blocks_[record.block].host_page_size;
  const std::uint64_t host_page = record.offset / size * size;
  if (collected_ == 0) {
    collecting_block_ = record.block;
    collecting_ = host_page;
    all_zero_ = true;
  }
  if (collecting_block_ != record.block || record.offset != collecting_ + collected_ * page_size)
    return fail(
        "the page at 0x{:x} of RAM block '{}' arrives while the huge page at 0x{:x} of '{}' is not "
        "complete",
        record.offset, blocks_[record.block].name, collecting_, blocks_[collecting_block_].name);
  GODWIT_TRY(read_into(buffer_.data() + (record.offset - host_page), in, record));
  all_zero_ = all_zero_ && is_zeros(record);
  if (++collected_ < size / page_size) return {};
  collected_ = 0;
  if (!missing_.contains(record.block, host_page)) return {};
  if (all_zero_)
    GODWIT_TRY(memory_.place_zeros(record.block, host_page));
  else
    GODWIT_TRY(memory_.place(record.block, host_page, buffer_.data()));
  done(record.block, host_page);
  return {};
}

Result<> PagePlacer::read_into(std::byte* page, Input& in, const wire::PageRecord& record) {
  if (record.kind == wire::PageKind::normal) return in.read({page, page_size});
  if (record.kind == wire::PageKind::zero) {
    std::memset(page, record.fill, page_size);
    return {};
  }
  if (!decompressor_) decompressor_.emplace();
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const auto data, in.need(record.payload));
  GODWIT_TRY(decompressor_->decompress(data, std::span<std::byte, page_size>(page, page_size), offset));
  in.skip(record.payload);
  return {};
}

void PagePlacer::done(std::size_t block, std::uint64_t offset) {
  missing_.remove(block, offset);
  placed_(block, offset);
}

}  // namespace godwit::engine
