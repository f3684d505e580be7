#include "wire/walker.h"

#include <algorithm>
#include <utility>

#include "base/fail.h"

namespace godwit::wire {
namespace {

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

StreamWalker::StreamWalker(Input& in, StreamVisitor& visitor, WalkOptions options)
    : in_(in),
      visitor_(visitor),
      options_(std::move(options)),
      pages_([this](std::string_view name) { return find_block(name); }) {}

Result<> StreamWalker::run() {
  GODWIT_TRY(start());
  GODWIT_TRY(records());
  return tail();
}

Result<> StreamWalker::start() {
  if (options_.file_header) {
    GODWIT_TRY(decode_file_header(in_));
    GODWIT_TRY(visitor_.on_file_header());
  }
  if (!options_.configuration) {
    GODWIT_ASSIGN(const auto type, in_.need(1));
    options_.configuration = static_cast<RecordType>(type[0]) == RecordType::configuration;
  }
  if (*options_.configuration) {
    GODWIT_ASSIGN(const Configuration configuration, decode_configuration(in_));
    if (contains(configuration.capabilities, "x-ignore-shared"))
      options_.block_list.has_guest_addresses = true;
    mapped_ram_ = contains(configuration.capabilities, mapped_ram_capability);
    GODWIT_TRY(visitor_.on_configuration(configuration));
  }
  return {};
}

Result<> StreamWalker::records() {
  ended_ = false;
  while (!ended_) {
    GODWIT_TRY(package_boundary());
    GODWIT_TRY(record());
  }
  return {};
}

Result<> StreamWalker::record() {
  const std::uint64_t offset = in_.offset();
  GODWIT_ASSIGN(const RecordType type, decode_record_type(in_));
  GODWIT_TRY(visitor_.on_record(type, offset));
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
  // Only the package of a COLO checkpoint has an end of its own.
  if (package_end_ && !checkpoints_)
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
  const auto [entry, is_new] = sections_.try_emplace(header.id, header);
  const bool again = checkpoints_ && type == RecordType::section_full && entry->second == header;
  if (!is_new && !again)
    return fail("expected a section id that is not in use at offset {:#x}, got {}", offset, entry->first);
  return section(type, entry->second);
}

Result<> StreamWalker::known_section(RecordType type) {
  const std::uint64_t offset = in_.offset();
  GODWIT_ASSIGN(const std::uint32_t id, decode_section_id(in_));
  auto entry = sections_.find(id);
  if (entry == sections_.end() && resumes_ram())
    entry =
        sections_.emplace(id, SectionHeader{id, std::string(ram_section_name), 0, ram_section_version}).first;
  if (entry == sections_.end())
    return fail("{}: expected the id of a section that has started at offset {:#x}, got {}", to_string(type),
                offset, id);
  return section(type, entry->second);
}

/// A recovery connection goes on with what the first one has started, and only RAM survives a break.
bool StreamWalker::resumes_ram() const {
  return !options_.file_header && std::ranges::none_of(sections_, [](const auto& entry) {
    return entry.second.name == ram_section_name;
  });
}

Result<> StreamWalker::section(RecordType type, const SectionHeader& header) {
  GODWIT_TRY(visitor_.on_section(type, header));
  auto done = data(type, header);
  if (done) done = footer(header);
  if (!done) return std::unexpected(std::move(done).error().in(section_text(header.name, header.instance)));
  return visitor_.on_footer(header);
}

Result<> StreamWalker::data(RecordType type, const SectionHeader& header) {
  const auto expect_version = [&](std::uint32_t version) -> Result<> {
    if (header.version == version) return {};
    return fail("expected version {} before offset {:#x}, got {}", version, in_.offset(), header.version);
  };
  if (header.name == ram_section_name) {
    GODWIT_TRY(expect_version(ram_section_version));
    return ram(type);
  }
  if (header.name == block_section_name) {
    GODWIT_TRY(expect_version(block_section_version));
    return disks();
  }
  if (header.name == bitmap_section_name) {
    GODWIT_TRY(expect_version(bitmap_section_version));
    return bitmaps();
  }
  return visitor_.on_section_data(type, header, in_);
}

Result<> StreamWalker::footer(const SectionHeader& header) {
  if (!options_.footers) {
    GODWIT_ASSIGN(const auto type, in_.need(1));
    options_.footers = static_cast<RecordType>(type[0]) == RecordType::section_footer;
    GODWIT_TRY(visitor_.on_footers(*options_.footers));
  }
  return *options_.footers ? decode_footer(in_, header.id) : Result<>{};
}

Result<> StreamWalker::command() {
  const std::uint64_t offset = in_.offset();
  GODWIT_ASSIGN(const Command command, decode_command(in_));
  if (const auto* package = std::get_if<Packaged>(&command)) {
    if (package_end_) return fail("expected no package inside a package, got one at offset {:#x}", offset);
    package_end_ = in_.offset() + package->length;
  }
  GODWIT_TRY(note(command));
  return visitor_.on_command(command);
}

Result<> StreamWalker::note(const Command& command) {
  if (const auto* advise = std::get_if<PostcopyAdvise>(&command); advise != nullptr && advise->page_sizes)
    host_page_sizes_ = advise->page_sizes->host_summary;
  colo_ = colo_ || std::holds_alternative<EnableColo>(command);
  const auto* request = std::get_if<ReceivedBitmapRequest>(&command);
  if (request == nullptr || options_.file_header || find_block(request->block)) return {};
  if (blocks_.size() == block_count_limit)
    return fail("expected at most {} blocks, got one more before offset {:#x}", block_count_limit,
                in_.offset());
  blocks_.push_back({request->block, unknown_block_length, {}, {}});
  return visitor_.on_block_list(blocks_);
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
  GODWIT_ASSIGN(const auto type, in_.need(1));
  const bool described = static_cast<RecordType>(type[0]) == RecordType::description;
  if (!described && !colo_)
    return fail("expected the description or the end of the stream at offset {:#x}, got type byte {:#04x}",
                in_.offset(), static_cast<std::uint8_t>(type[0]));
  if (described) GODWIT_TRY(description());
  if (colo_) return colo();
  GODWIT_ASSIGN(const bool done, in_.at_end());
  if (!done) return fail("expected the end of the stream at offset {:#x}, more bytes follow", in_.offset());
  return {};
}

Result<> StreamWalker::description() {
  in_.skip(1);
  GODWIT_ASSIGN(const std::string json, decode_description(in_));
  return visitor_.on_description(json);
}

Result<> StreamWalker::colo() {
  checkpoints_ = true;
  for (;;) {
    GODWIT_ASSIGN(const bool end, in_.at_end());
    if (end) return {};
    GODWIT_TRY(colo_message());
  }
}

Result<> StreamWalker::colo_message() {
  const std::uint64_t offset = in_.offset();
  GODWIT_ASSIGN(const ColoMessage message, decode_colo_message(in_));
  if (!is_from_primary(message.id))
    return fail("COLO: expected a message of the primary at offset {:#x}, got {}", offset,
                to_string(message.id));
  GODWIT_TRY(visitor_.on_colo_message(message));
  if (message.id == ColoMessage::Id::vmstate_send) return records();
  if (message.id != ColoMessage::Id::vmstate_size) return {};
  std::uint64_t end;
  if (__builtin_add_overflow(in_.offset(), message.size, &end) || message.size == 0)
    return fail("COLO: expected a size that a checkpoint can have at offset {:#x}, got {}", offset + 4,
                message.size);
  package_end_ = end;
  GODWIT_TRY(records());
  if (in_.offset() != end)
    return fail("COLO: expected the end of the checkpoint at offset {:#x}, its records end at {:#x}", end,
                in_.offset());
  return package_boundary();
}

}  // namespace godwit::wire
