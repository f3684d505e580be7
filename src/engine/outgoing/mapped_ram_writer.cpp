#include "engine/outgoing/mapped_ram_writer.h"

#include <algorithm>
#include <limits>

#include "base/fail.h"

namespace godwit::engine {

MappedRamWriter::MappedRamWriter(std::span<const RamBlock> blocks, bool direct)
    : blocks_(blocks), direct_(direct), places_(blocks.size()) {
  for (const RamBlock& block : blocks) in_file_.emplace_back(block.pages());
}

Result<> MappedRamWriter::open(const channel::Channel& channel) {
  GODWIT_ASSIGN(file_, channel::PositionedFile::open(channel, channel::Direction::outgoing, direct_));
  return {};
}

Result<> MappedRamWriter::write_block_list(StreamWriter& out, std::span<const wire::BlockEntry> entries) {
  std::uint64_t total = 0;
  for (const wire::BlockEntry& entry : entries) total += entry.length;
  wire::encode_block_list_head(out.pending(), total);
  for (const wire::BlockEntry& entry : entries) {
    wire::encode_block_entry(out.pending(), entry);
    GODWIT_TRY(out.flush());
    GODWIT_ASSIGN(const std::uint64_t here, file_->position());
    const wire::MappedRam place = wire::place_mapped_ram(entry.length, here);
    if (place.pages_offset > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()) - entry.length)
      return fail("the pages of RAM block '{}' do not fit behind offset {:#x} of a file", entry.name, here);
    wire::encode_mapped_ram(out.pending(), place);
    GODWIT_TRY(out.flush());
    GODWIT_TRY(out.channel().pass_over(place.pages_offset + entry.length - place.bitmap_offset));
    const auto block = std::ranges::find(blocks_, entry.name, &RamBlock::name);
    places_[static_cast<std::size_t>(block - blocks_.begin())] = place;
  }
  return {};
}

Result<> MappedRamWriter::write_pages(const RamBlock& block, PageRange pages) {
  if (stopped_.load(std::memory_order_relaxed)) return fail("The channel was shut down");
  const std::uint64_t offset = pages.first * page_size;
  const auto index = static_cast<std::size_t>(&block - blocks_.data());
  return file_->write_pages(places_[index].pages_offset + offset,
                            {block.host + offset, pages.count * page_size});
}

Result<> MappedRamWriter::write_bitmaps() {
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    Output bitmap;
    wire::encode_mapped_bitmap(bitmap, in_file_[block].words());
    GODWIT_TRY(file_->write(places_[block].bitmap_offset, bitmap.data()));
  }
  return {};
}

Result<PacketWriter::Written> MappedPacketWriter::write(wire::MultifdPacket& packet, const RamBlock& block) {
  const auto offsets = packet.normal();
  for (std::size_t first = 0; first < offsets.size();) {
    std::size_t next = first + 1;
    while (next < offsets.size() && offsets[next] == offsets[next - 1] + page_size) ++next;
    GODWIT_TRY(file_.write_pages(block, {offsets[first] / page_size, next - first}));
    first = next;
  }
  return Written{.bytes = offsets.size() * page_size};
}

}  // namespace godwit::engine
