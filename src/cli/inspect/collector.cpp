#include "cli/inspect/collector.h"

#include <algorithm>
#include <fmt/ranges.h>

#include "base/fail.h"
#include "cli/quantity.h"

namespace godwit::cli::inspect {
namespace {

using wire::RecordType;

std::string range_text(const wire::PostcopyDiscard& discard) {
  std::uint64_t bytes = 0;
  for (const auto& range : discard.ranges) bytes += range.length;
  return fmt::format("{}: {} range{}, {}", discard.block, discard.ranges.size(),
                     discard.ranges.size() == 1 ? "" : "s", size_text(static_cast<double>(bytes)));
}

std::string detail_of(const wire::Command& command) {
  std::string text(wire::name_of(command));
  if (const auto* ping = std::get_if<wire::Ping>(&command)) return text + fmt::format(" {}", ping->value);
  if (const auto* package = std::get_if<wire::Packaged>(&command))
    return text + fmt::format(", {} bytes", count_text(package->length));
  if (const auto* advise = std::get_if<wire::PostcopyAdvise>(&command)) {
    if (!advise->page_sizes) return text + ", without page sizes (dirty bitmaps only)";
    return text + fmt::format(", host pages {:#x}, guest pages {:#x}", advise->page_sizes->host_summary,
                              advise->page_sizes->target);
  }
  if (const auto* discard = std::get_if<wire::PostcopyDiscard>(&command))
    return text + " " + range_text(*discard);
  if (const auto* request = std::get_if<wire::ReceivedBitmapRequest>(&command))
    return text + " " + request->block;
  return text;
}

}  // namespace

Collector::Collector(Input& in, Inspection& found, const CollectorOptions& options)
    : in_(in), found_(found), options_(options) {}

void Collector::add_entry(std::string kind, std::uint64_t offset, std::string detail) {
  if (found_.entries.size() == entry_limit) {
    ++found_.dropped_entries;
    return;
  }
  Entry entry;
  entry.offset = offset;
  entry.bytes = in_.offset() - offset;
  entry.kind = std::move(kind);
  entry.detail = std::move(detail);
  entry.packaged = packaged_;
  found_.entries.push_back(std::move(entry));
}

Result<> Collector::on_file_header() {
  add_entry("file header", 0);
  return {};
}

Result<> Collector::on_configuration(const wire::Configuration& configuration) {
  add_entry("CONFIGURATION",
            found_.entries.empty() ? 0 : found_.entries.back().offset + found_.entries.back().bytes);
  found_.configuration = configuration;
  return {};
}

Result<> Collector::on_record(RecordType type, std::uint64_t offset) {
  record_type_ = type;
  record_offset_ = offset;
  return {};
}

/// The entry that a PART adds to: one of the same section in the run of PARTs at the end.
Entry* Collector::mergeable(RecordType type, const wire::SectionHeader& header) {
  if (type != RecordType::section_part) return nullptr;
  for (auto entry = found_.entries.rbegin(); entry != found_.entries.rend(); ++entry) {
    if (entry->kind != wire::to_string(type)) return nullptr;
    if (entry->section && entry->section->id == header.id) return &*entry;
  }
  return nullptr;
}

Result<> Collector::on_section(RecordType type, const wire::SectionHeader& header) {
  counted_to_ = in_.offset();
  if (options_.answers != nullptr) GODWIT_TRY(options_.answers->on_section());
  if (Entry* entry = mergeable(type, header)) {
    ++entry->count;
    return {};
  }
  add_entry(std::string(wire::to_string(type)), record_offset_);
  if (found_.dropped_entries == 0) found_.entries.back().section = header;
  return {};
}

Result<> Collector::on_footers(bool present) {
  found_.footers = present;
  return {};
}

Result<> Collector::on_footer(const wire::SectionHeader& header) {
  for (auto entry = found_.entries.rbegin(); entry != found_.entries.rend(); ++entry) {
    if (!entry->section || entry->section->id != header.id) continue;
    const std::uint64_t bytes = in_.offset() - record_offset_;
    entry->bytes = entry->count == 1 ? bytes : entry->bytes + bytes;
    return {};
  }
  return {};
}

Result<> Collector::on_disk_record(const wire::DiskRecord& record, Input& in) {
  if (record.kind == wire::DiskRecord::Kind::progress) found_.disk_progress = record.percent;
  if (record.kind == wire::DiskRecord::Kind::chunk) {
    auto disk = std::ranges::find(found_.disks, record.device, &Disk::name);
    if (disk == found_.disks.end()) {
      if (found_.disks.size() == wire::block_count_limit)
        return fail("expected at most {} disks before offset {:#x}", wire::block_count_limit, in.offset());
      disk = found_.disks.insert(disk, Disk{record.device, 0, 0});
    }
    ++(record.zero ? disk->zero_chunks : disk->chunks);
  }
  return in.discard(record.payload);
}

Result<> Collector::on_bitmap_chunk(const wire::BitmapChunk& chunk, const wire::BitmapReader& names,
                                    Input& in) {
  using Kind = wire::BitmapChunk::Kind;
  if (chunk.kind == Kind::end) return {};
  auto bitmap = std::ranges::find_if(
      found_.bitmaps, [&](const Bitmap& b) { return b.node == names.node() && b.name == names.bitmap(); });
  if (bitmap == found_.bitmaps.end()) {
    if (chunk.kind != Kind::start)
      return fail("expected a bitmap that has started before offset {:#x}, got '{}' of '{}'", in.offset(),
                  names.bitmap(), names.node());
    if (found_.bitmaps.size() == wire::block_count_limit)
      return fail("expected at most {} bitmaps before offset {:#x}", wire::block_count_limit, in.offset());
    bitmap = found_.bitmaps.insert(bitmap, Bitmap{});
    bitmap->node = names.node();
    bitmap->name = names.bitmap();
    bitmap->granularity = chunk.granularity;
    bitmap->enabled = chunk.enabled;
    bitmap->persistent = chunk.persistent;
  }
  if (chunk.kind == Kind::complete) bitmap->complete = true;
  if (chunk.kind != Kind::bits) return {};
  ++bitmap->chunks;
  for (std::uint32_t left = chunk.payload; left > 0; --left) {
    GODWIT_ASSIGN(const std::uint8_t byte, in.u8());
    bitmap->dirty_bytes += static_cast<std::uint64_t>(std::popcount(byte)) * bitmap->granularity;
  }
  return {};
}

Result<> Collector::on_command(const wire::Command& command) {
  add_entry(std::string(wire::to_string(RecordType::command)), record_offset_, detail_of(command));
  if (std::holds_alternative<wire::Packaged>(command)) packaged_ = true;
  if (std::holds_alternative<wire::PostcopyListen>(command) ||
      std::holds_alternative<wire::PostcopyResume>(command))
    postcopy_ = true;
  return options_.answers == nullptr ? Result<>{} : options_.answers->on_command(command);
}

Result<> Collector::on_package_end() {
  packaged_ = false;
  return {};
}

Result<> Collector::on_eof() {
  add_entry(std::string(wire::to_string(RecordType::eof)), record_offset_);
  if (options_.answers != nullptr) options_.answers->on_eof();
  return {};
}

Result<> Collector::on_description(std::string_view json) {
  const std::uint64_t size = 1 + 4 + json.size();
  add_entry(std::string(wire::to_string(RecordType::description)), in_.offset() - size);
  if (options_.answers != nullptr) options_.answers->refuse();
  found_.description_bytes = json.size();
  GODWIT_ASSIGN(found_.description, wire::parse_description(json));
  return {};
}

Result<> Collector::on_colo_message(const wire::ColoMessage& message) {
  const bool sized = message.id == wire::ColoMessage::Id::vmstate_size;
  packaged_ = false;
  add_entry("COLO", in_.offset() - (sized ? 12 : 4),
            std::string(wire::to_string(message.id)) +
                (sized ? fmt::format(", {} bytes", count_text(message.size)) : ""));
  packaged_ = sized;
  if (message.id == wire::ColoMessage::Id::checkpoint_request) ++found_.checkpoints;
  return {};
}

}  // namespace godwit::cli::inspect
