// The records of the main stream and the frame of a section (wire-format sections 1.2, 1.4 and 1.6).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <godwit/stream.h>

namespace godwit::wire {

/// The byte every record starts with.
enum class RecordType : std::uint8_t {
  eof = 0x00,
  section_start = 0x01,
  section_part = 0x02,
  section_end = 0x03,
  section_full = 0x04,
  subsection = 0x05,     ///< only inside device state
  description = 0x06,    ///< only after eof
  configuration = 0x07,  ///< only after the file header
  command = 0x08,
  section_footer = 0x7e,
};

/// "SECTION_START", "COMMAND", ...
std::string_view to_string(RecordType type);

/// What SECTION_START and SECTION_FULL say about the section.
struct SectionHeader {
  std::uint32_t id = 0;  ///< links the parts, the end and the footers to this header; nothing else
  std::string name;      ///< idstr, 1 to 255 bytes
  std::uint32_t instance = 0;
  std::uint32_t version = 0;
  bool operator==(const SectionHeader&) const = default;
};

/// "section 'timer' 0": how errors name a section.
std::string section_text(std::string_view name, std::uint32_t instance);

/// The next record's type byte. Inside the record loop only eof, the four section types and command are
/// valid: any other byte is an error.
Result<RecordType> decode_record_type(Input& in);

/// `type` is section_start or section_full. With the type byte.
void encode_section_header(Output& out, RecordType type, const SectionHeader& header);
/// Without the type byte.
Result<SectionHeader> decode_section_header(Input& in);

/// The beginning of a SECTION_PART or SECTION_END, with the type byte.
void encode_section_id(Output& out, RecordType type, std::uint32_t id);
/// Without the type byte.
Result<std::uint32_t> decode_section_id(Input& in);

/// The footer behind the data of every START, PART, END and FULL, with its type byte.
void encode_footer(Output& out, std::uint32_t id);
/// With its type byte. A wrong byte or id means that the section's data was read wrongly.
Result<> decode_footer(Input& in, std::uint32_t id);

void encode_eof(Output& out);

/// The longest JSON description that is read. It is allocated as it arrives, not because it is announced.
inline constexpr std::uint32_t description_limit = 64 * 1024 * 1024;

/// With its type byte.
void encode_description(Output& out, std::string_view json);
/// Without the type byte.
Result<std::string> decode_description(Input& in);

}  // namespace godwit::wire
