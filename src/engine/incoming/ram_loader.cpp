#include "engine/incoming/ram_loader.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/fail.h"
#include "engine/incoming/mapped_ram_reader.h"
#include "engine/incoming/multifd_receiver.h"
#include "memory/populated.h"
#include "memory/zero_scan.h"
#include "wire/mapped_ram.h"
#include "wire/xbzrle.h"

namespace godwit::engine {
namespace {

constexpr std::size_t smallest_record = 8;

}  // namespace

RamLoader::RamLoader(std::span<const RamBlock> blocks, bool ignore_shared)
    : blocks_(blocks),
      ignore_shared_(ignore_shared),
      reader_([this](std::string_view name) { return block_for_pages(name); }) {}

const RamBlock* RamLoader::find(std::string_view name) const {
  for (const RamBlock& block : blocks_)
    if (block.name == name) return &block;
  return nullptr;
}

Result<wire::KnownBlock> RamLoader::block_for_pages(std::string_view name) const {
  const RamBlock* block = find(name);
  if (!block) return fail("RAM block '{}' does not exist here", name);
  if (ignore_shared_ && block->shared) return fail("RAM block '{}' is shared and takes no pages", name);
  return wire::KnownBlock{static_cast<std::uint32_t>(block - blocks_.data()), block->size};
}

Result<> RamLoader::load_setup(Input& in, bool host_page_sizes) {
  const auto has_host_page_size = [&](std::string_view name) {
    const RamBlock* block = find(name);
    return host_page_sizes && block && block->host_page_size != page_size;
  };
  touched_.clear();
  landed_.clear();
  for (const RamBlock& block : blocks_) {
    touched_.push_back(memory::populated_pages(block));
    if (multifd_) landed_.emplace_back(block.pages());
  }
  const wire::BlockListFormat format{.has_host_page_size = has_host_page_size,
                                     .has_guest_addresses = ignore_shared_};
  wire::BlockListReader list(format);
  GODWIT_TRY(list.start(in));
  while (!list.done()) {
    GODWIT_ASSIGN(const wire::BlockEntry entry, list.next(in));
    GODWIT_ASSIGN(const RamBlock* block, block_of(entry));
    if (mapped_) GODWIT_TRY(load_mapped(in, *block));
  }
  set_up_ = true;
  GODWIT_ASSIGN(wire::PageRecord record, reader_.next(in));
  if (record.kind == wire::PageKind::multifd_flush) {
    flush_records_ = true;
    GODWIT_TRY(synchronize(in));
    GODWIT_ASSIGN(record, reader_.next(in));
  }
  if (record.kind != wire::PageKind::end_of_section)
    return fail("expected the end mark of the block list before offset 0x{:x}, got another record",
                in.offset());
  return end_section(in);
}

/// The block here that a block of the source becomes.
Result<const RamBlock*> RamLoader::block_of(const wire::BlockEntry& entry) const {
  const RamBlock* block = find(entry.name);
  if (!block)
    return fail(Error(fmt::format("RAM block '{}' of the source does not exist here", entry.name))
                    .advise("start the destination with the same memory backends as the source"));
  if (block->size != entry.length)
    return fail(Error(fmt::format("Size mismatch: {}: 0x{:x} received, 0x{:x} here", entry.name, entry.length,
                                  block->size))
                    .advise("start the destination with the RAM size of the source (-m)"));
  if (entry.host_page_size && *entry.host_page_size != block->host_page_size)
    return fail("RAM block '{}' has pages of {} bytes at the source and of {} here", entry.name,
                *entry.host_page_size, block->host_page_size);
  if (ignore_shared_ && block->shared && entry.guest_address != block->guest_address)
    return fail("Mismatched GPAs for block {}: 0x{:x} received, 0x{:x} here", entry.name,
                entry.guest_address.value_or(0), block->guest_address);
  return block;
}

/// What mapped-ram has behind the line of a block: where its pages are, and the pages.
Result<> RamLoader::load_mapped(Input& in, const RamBlock& block) {
  GODWIT_ASSIGN(const wire::MappedRam place, wire::decode_mapped_ram(in, block.size, mapped_->start()));
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const auto bitmap, wire::decode_mapped_bitmap(in, block.size));
  if (ignore_shared_ && block.shared) {
    if (std::ranges::any_of(bitmap, [](std::uint64_t word) { return word != 0; }))
      return fail(
          "mapped-ram: the bitmap at offset 0x{:x} has pages of RAM block '{}', which is shared and takes "
          "none",
          offset, block.name);
  } else {
    GODWIT_TRY(
        mapped_->load(block, place, bitmap, touched_[static_cast<std::size_t>(&block - blocks_.data())]));
  }
  return in.discard(place.pages_offset - mapped_->start() - in.offset() + block.size);
}

Result<> RamLoader::load_pages(Input& in) {
  if (!set_up_) return fail("pages arrive before the list of RAM blocks");
  while (true) {
    if (const std::uint64_t ahead = pages_ahead(in, smallest_record)) {
      GODWIT_TRY(read_ahead(in, {}, ahead));
      continue;
    }
    GODWIT_ASSIGN(const wire::PageRecord record, reader_.next(in));
    runs_.note(record);
    if (decompress_) GODWIT_TRY(settle(record));
    switch (record.kind) {
      case wire::PageKind::normal:
        GODWIT_TRY(place_normal(in, record));
        break;
      case wire::PageKind::zero:
        GODWIT_TRY(place_zero(blocks_[record.block], record));
        break;
      case wire::PageKind::xbzrle:
        GODWIT_TRY(place_delta(in, record));
        break;
      case wire::PageKind::compressed:
        GODWIT_TRY(place_compressed(in, record));
        break;
      case wire::PageKind::multifd_flush:
        flush_records_ = true;
        GODWIT_TRY(synchronize(in));
        break;
      case wire::PageKind::end_of_section:
        return end_section(in);
      default:
        return fail("a page at offset 0x{:x} of the stream is encoded in a way that is not built yet",
                    in.offset());
    }
  }
}

/// How many pages may be read ahead of their records, with less than `wanted` bytes buffered.
std::uint64_t RamLoader::pages_ahead(const Input& in, std::size_t wanted) const {
  return reads_ahead_ ? runs_.pages_ahead(in, wanted, touched_[runs_.block()]) : 0;
}

Result<> RamLoader::place_normal(Input& in, const wire::PageRecord& record) {
  const RamBlock& block = blocks_[record.block];
  DirtyBitmap& touched = touched_[record.block];
  touched.set(record.offset / page_size);
  const std::span<std::byte> body(block.host + record.offset, page_size);
  if (const std::uint64_t ahead = pages_ahead(in, body.size())) return read_ahead(in, body, ahead);
  return in.read(body);
}

Result<> RamLoader::read_ahead(Input& in, std::span<std::byte> body, std::uint64_t count) {
  const RamBlock& block = blocks_[runs_.block()];
  premapper_.settle({block.host + runs_.next_offset(), count * page_size});
  GODWIT_TRY(runs_.read(in, body, block, count, touched_[runs_.block()]));
  const PageRange next = runs_.expected(block.pages());
  premapper_.expect({block.host + next.first * page_size, next.count * page_size});
  return {};
}

void RamLoader::stop_reading_ahead() {
  reads_ahead_ = false;
  premapper_.stop();
}

Result<> RamLoader::place_zero(const RamBlock& block, const wire::PageRecord& record) {
  DirtyBitmap& touched = touched_[record.block];
  const std::uint64_t page = record.offset / page_size;
  std::byte* at = block.host + record.offset;
  if (record.fill == 0) {
    if (!touched.test(page)) return {};
    fill_zero(at);
    touched.clear_range({page, 1});
    return {};
  }
  touched.set(page);
  std::memset(at, record.fill, page_size);
  return {};
}

/// A delta turns the version that is here into the new one.
Result<> RamLoader::place_delta(Input& in, const wire::PageRecord& record) {
  touched_[record.block].set(record.offset / page_size);
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const auto delta, in.need(record.payload));
  const std::span<std::byte, page_size> page(blocks_[record.block].host + record.offset, page_size);
  GODWIT_TRY(wire::apply_xbzrle(delta, page, offset));
  in.skip(record.payload);
  return {};
}

Result<> RamLoader::place_compressed(Input& in, const wire::PageRecord& record) {
  if (!decompress_)
    return fail(Error(fmt::format("a compressed page before offset 0x{:x}, for a capability that is off here",
                                  in.offset()))
                    .advise("set the capability 'compress' on both sides"));
  touched_[record.block].set(record.offset / page_size);
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const auto data, in.need(record.payload));
  GODWIT_TRY(decompress_->add(blocks_[record.block].host + record.offset, data, offset));
  in.skip(record.payload);
  return {};
}

/// A page may come again while its former version is still being decompressed.
Result<> RamLoader::settle(const wire::PageRecord& record) {
  if (!wire::is_page(record.kind) || record.kind == wire::PageKind::compressed) return {};
  return decompress_->settle(blocks_[record.block].host + record.offset);
}

Result<> RamLoader::end_section(const Input& in) {
  if (decompress_) GODWIT_TRY(decompress_->finish());
  return multifd_ && !flush_records_ ? synchronize(in) : Result<>{};
}

/// Everything that the source sent on its channels before this point is in place when it returns.
Result<> RamLoader::synchronize(const Input& in) {
  if (!multifd_)
    return fail(Error(fmt::format("the source synchronises multifd channels before offset 0x{:x}, for a "
                                  "capability that is off here",
                                  in.offset()))
                    .advise("set the capability 'multifd' on both sides"));
  GODWIT_TRY(multifd_->synchronize());
  for (std::size_t i = 0; i < landed_.size(); ++i) {
    const auto words = landed_[i].words();
    for (std::size_t word = 0; word < words.size(); ++word)
      if (std::atomic_ref(words[word]).load(std::memory_order_relaxed) != 0)
        touched_[i].merge_word(word, std::atomic_ref(words[word]).exchange(0, std::memory_order_relaxed));
  }
  return {};
}

void RamLoader::note_landed(std::uint32_t block, std::uint64_t page) {
  std::atomic_ref word(landed_[block].words()[page / 64]);
  const std::uint64_t bit = std::uint64_t{1} << (page % 64);
  if ((word.load(std::memory_order_relaxed) & bit) == 0) word.fetch_or(bit, std::memory_order_relaxed);
}

void RamLoader::fill_zero(std::byte* page) {
  if (!memory::is_zero_page(page)) std::memset(page, 0, page_size);
}

}  // namespace godwit::engine
