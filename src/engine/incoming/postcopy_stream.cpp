#include "engine/incoming/postcopy_stream.h"

#include <algorithm>
#include <string_view>

#include "base/fail.h"
#include "wire/header.h"
#include "wire/record.h"

namespace godwit::engine {

namespace {

wire::PageReader reader_of(std::span<const RamBlock> blocks) {
  return wire::PageReader([blocks](std::string_view name) -> Result<wire::KnownBlock> {
    const auto at = std::ranges::find(blocks, name, &RamBlock::name);
    if (at == blocks.end()) return fail("RAM block '{}' does not exist here", name);
    return wire::KnownBlock{static_cast<std::uint32_t>(at - blocks.begin()), at->size};
  });
}

}  // namespace

UrgentStream::UrgentStream(std::span<const RamBlock> blocks, PagePlacer& placer)
    : placer_(placer), reader_(reader_of(blocks)) {}

void UrgentStream::restart() {
  reader_.forget();
  placer_.drop_partial();
}

Result<bool> UrgentStream::step(Input& in) {
  GODWIT_ASSIGN(const wire::PageRecord record, reader_.next(in));
  if (record.kind == wire::PageKind::end_of_section) return false;
  GODWIT_TRY(placer_.take(in, record));
  return true;
}

PostcopyStream::PostcopyStream(std::span<const RamBlock> blocks, PagePlacer& placer,
                               std::uint32_t ram_section, bool footers)
    : placer_(placer), ram_section_(ram_section), footers_(footers), reader_(reader_of(blocks)) {}

void PostcopyStream::restart() {
  in_section_ = false;
  reader_.forget();
  placer_.drop_partial();
}

Result<PostcopyStream::Item> PostcopyStream::step(Input& in) {
  if (in_section_) return step_in_section(in);
  GODWIT_ASSIGN(const wire::RecordType type, wire::decode_record_type(in));
  switch (type) {
    case wire::RecordType::section_part:
    case wire::RecordType::section_end: {
      GODWIT_ASSIGN(const std::uint32_t id, wire::decode_section_id(in));
      if (id != ram_section_) return fail("section number {} at offset 0x{:x} is not RAM", id, in.offset());
      in_section_ = true;
      return Nothing{};
    }
    case wire::RecordType::command: {
      GODWIT_ASSIGN(wire::Command command, wire::decode_command(in));
      return command;
    }
    case wire::RecordType::eof:
      return EndOfStream{};
    default:
      return fail("record type {} at offset 0x{:x} has no place in postcopy", wire::to_string(type),
                  in.offset());
  }
}

Result<PostcopyStream::Item> PostcopyStream::step_in_section(Input& in) {
  GODWIT_ASSIGN(const wire::PageRecord record, reader_.next(in));
  if (record.kind != wire::PageKind::end_of_section) {
    GODWIT_TRY(placer_.take(in, record));
    return Nothing{};
  }
  in_section_ = false;
  if (footers_) GODWIT_TRY(wire::decode_footer(in, ram_section_));
  return Nothing{};
}

}  // namespace godwit::engine
