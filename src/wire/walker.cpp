#include "wire/walker.h"

#include <algorithm>
#include <utility>

#include "base/fail.h"

namespace godwit::wire {

StreamWalker::StreamWalker(Input& in, StreamVisitor& visitor, WalkOptions options)
    : in_(in),
      visitor_(visitor),
      options_(std::move(options)),
      pages_([this](std::string_view name) { return find_block(name); }) {}

Result<> StreamWalker::run() {
  GODWIT_TRY(start());
  while (!ended_) {
    GODWIT_TRY(package_boundary());
    GODWIT_TRY(record());
  }
  return tail();
}

Result<> StreamWalker::start() {
  if (options_.file_header) {
    GODWIT_TRY(decode_file_header(in_));
    GODWIT_TRY(visitor_.on_file_header());
  }
  if (options_.configuration) {
    GODWIT_ASSIGN(const Configuration configuration, decode_configuration(in_));
    if (std::ranges::find(configuration.capabilities, "x-ignore-shared") != configuration.capabilities.end())
      options_.block_list.has_guest_addresses = true;
    GODWIT_TRY(visitor_.on_configuration(configuration));
  }
  return {};
}

Result<> StreamWalker::record() {
  GODWIT_ASSIGN(const RecordType type, decode_record_type(in_));
  switch (type) {
    case RecordType::section_start:
    case RecordType::section_full:
      return new_section(type);
    case RecordType::section_part:
    case RecordType::section_end:
      return known_section(type);
    case RecordType::command:
      return command();
    default:
      break;
  }
  if (package_end_)
    return fail("expected the end of the package at offset {:#x} first, the stream's end is inside",
                *package_end_);
  ended_ = true;
  return visitor_.on_eof();
}

Result<> StreamWalker::new_section(RecordType type) {
  const std::uint64_t offset = in_.offset();
  GODWIT_ASSIGN(SectionHeader header, decode_section_header(in_));
  if (sections_.size() == section_count_limit)
    return fail("expected at most {} sections, got one more at offset {:#x}", section_count_limit, offset);
  const auto [entry, is_new] = sections_.try_emplace(header.id, std::move(header));
  if (!is_new)
    return fail("expected a section id that is not in use at offset {:#x}, got {}", offset, entry->first);
  return section(type, entry->second);
}

Result<> StreamWalker::known_section(RecordType type) {
  const std::uint64_t offset = in_.offset();
  GODWIT_ASSIGN(const std::uint32_t id, decode_section_id(in_));
  const auto entry = sections_.find(id);
  if (entry == sections_.end())
    return fail("{}: expected the id of a section that has started at offset {:#x}, got {}", to_string(type),
                offset, id);
  return section(type, entry->second);
}

Result<> StreamWalker::section(RecordType type, const SectionHeader& header) {
  GODWIT_TRY(visitor_.on_section(type, header));
  auto done =
      header.name == ram_section_name ? ram(type, header) : visitor_.on_section_data(type, header, in_);
  if (done && options_.footers) done = decode_footer(in_, header.id);
  if (!done) return std::unexpected(std::move(done).error().in(section_text(header.name, header.instance)));
  return visitor_.on_footer(header);
}

Result<> StreamWalker::ram(RecordType type, const SectionHeader& header) {
  if (header.version != ram_section_version)
    return fail("expected version {} before offset {:#x}, got {}", ram_section_version, in_.offset(),
                header.version);
  if (type == RecordType::section_start) GODWIT_TRY(block_list());
  for (;;) {
    GODWIT_ASSIGN(const PageRecord record, pages_.next(in_));
    GODWIT_TRY(visitor_.on_ram_record(record, is_page(record.kind) ? &blocks_[record.block] : nullptr, in_));
    if (record.kind == PageKind::end_of_section) return {};
  }
}

Result<> StreamWalker::block_list() {
  GODWIT_ASSIGN(blocks_, decode_block_list(in_, options_.block_list));
  pages_.forget();
  return visitor_.on_block_list(blocks_);
}

Result<> StreamWalker::command() {
  const std::uint64_t offset = in_.offset();
  GODWIT_ASSIGN(const Command command, decode_command(in_));
  if (const auto* package = std::get_if<Packaged>(&command)) {
    if (package_end_) return fail("expected no package inside a package, got one at offset {:#x}", offset);
    package_end_ = in_.offset() + package->length;
  }
  return visitor_.on_command(command);
}

Result<> StreamWalker::package_boundary() {
  if (!package_end_ || in_.offset() < *package_end_) return {};
  if (in_.offset() > *package_end_)
    return fail("expected the end of the package at offset {:#x}, a record goes on to {:#x}", *package_end_,
                in_.offset());
  package_end_.reset();
  return visitor_.on_package_end();
}

Result<> StreamWalker::tail() {
  GODWIT_ASSIGN(const bool end, in_.at_end());
  if (end) return {};
  const std::uint64_t offset = in_.offset();
  GODWIT_ASSIGN(const std::uint8_t type, in_.u8());
  if (type != static_cast<std::uint8_t>(RecordType::description))
    return fail("expected the description or the end of the stream at offset {:#x}, got type byte {:#04x}",
                offset, type);
  GODWIT_ASSIGN(const std::string json, decode_description(in_));
  GODWIT_TRY(visitor_.on_description(json));
  GODWIT_ASSIGN(const bool done, in_.at_end());
  if (!done) return fail("expected the end of the stream at offset {:#x}, more bytes follow", in_.offset());
  return {};
}

Result<KnownBlock> StreamWalker::find_block(std::string_view name) const {
  const auto block = std::ranges::find(blocks_, name, &BlockEntry::name);
  if (block == blocks_.end()) return fail("expected a block of the block list, got '{}'", name);
  return KnownBlock{static_cast<std::uint32_t>(block - blocks_.begin()), block->length};
}

}  // namespace godwit::wire
