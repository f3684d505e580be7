#include "wire/record.h"

#include <algorithm>

#include "base/fail.h"

namespace godwit::wire {

std::string_view to_string(RecordType type) {
  switch (type) {
    case RecordType::eof:
      return "EOF";
    case RecordType::section_start:
      return "SECTION_START";
    case RecordType::section_part:
      return "SECTION_PART";
    case RecordType::section_end:
      return "SECTION_END";
    case RecordType::section_full:
      return "SECTION_FULL";
    case RecordType::subsection:
      return "SUBSECTION";
    case RecordType::description:
      return "VMDESCRIPTION";
    case RecordType::configuration:
      return "CONFIGURATION";
    case RecordType::command:
      return "COMMAND";
    case RecordType::section_footer:
      return "SECTION_FOOTER";
  }
  return "unknown";
}

std::string section_text(std::string_view name, std::uint32_t instance) {
  return fmt::format("section '{}' {}", name, instance);
}

Result<RecordType> decode_record_type(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint8_t byte, in.u8());
  const auto type = static_cast<RecordType>(byte);
  switch (type) {
    case RecordType::eof:
    case RecordType::section_start:
    case RecordType::section_part:
    case RecordType::section_end:
    case RecordType::section_full:
    case RecordType::command:
      return type;
    default:
      return fail(
          "expected a section, a command or the end of the stream at offset {:#x}, got type byte {:#04x}",
          offset, byte);
  }
}

void encode_section_header(Output& out, RecordType type, const SectionHeader& header) {
  out.u8(static_cast<std::uint8_t>(type));
  out.be32(header.id);
  out.counted_text(header.name);
  out.be32(header.instance);
  out.be32(header.version);
}

Result<SectionHeader> decode_section_header(Input& in) {
  SectionHeader header;
  GODWIT_ASSIGN(header.id, in.be32());
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(header.name, in.counted_text());
  if (header.name.empty())
    return fail("expected the name of a section at offset {:#x}, got an empty one", offset);
  GODWIT_ASSIGN(header.instance, in.be32());
  GODWIT_ASSIGN(header.version, in.be32());
  return header;
}

void encode_section_id(Output& out, RecordType type, std::uint32_t id) {
  out.u8(static_cast<std::uint8_t>(type));
  out.be32(id);
}

Result<std::uint32_t> decode_section_id(Input& in) {
  return in.be32();
}

void encode_footer(Output& out, std::uint32_t id) {
  encode_section_id(out, RecordType::section_footer, id);
}

Result<> decode_footer(Input& in, std::uint32_t id) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint8_t type, in.u8());
  if (type != static_cast<std::uint8_t>(RecordType::section_footer))
    return fail("expected the section's footer ({:#04x}) at offset {:#x}, got {:#04x}",
                static_cast<std::uint8_t>(RecordType::section_footer), offset, type);
  GODWIT_ASSIGN(const std::uint32_t received, in.be32());
  if (received != id)
    return fail("expected the footer of section id {} at offset {:#x}, got id {}", id, offset, received);
  return {};
}

void encode_eof(Output& out) {
  out.u8(static_cast<std::uint8_t>(RecordType::eof));
}

void encode_description(Output& out, std::string_view json) {
  out.u8(static_cast<std::uint8_t>(RecordType::description));
  out.be32(static_cast<std::uint32_t>(json.size()));
  out.text(json);
}

Result<std::string> decode_description(Input& in) {
  const std::uint64_t offset = in.offset();
  GODWIT_ASSIGN(const std::uint32_t length, in.be32());
  if (length > description_limit)
    return fail("expected a description of at most {} bytes at offset {:#x}, got {}", description_limit,
                offset, length);
  std::string json;
  while (json.size() < length) {
    const std::size_t done = json.size();
    json.resize(done + std::min<std::size_t>(length - done, Input::window_limit));
    GODWIT_TRY(in.read(std::as_writable_bytes(std::span(json).subspan(done))));
  }
  return json;
}

}  // namespace godwit::wire
