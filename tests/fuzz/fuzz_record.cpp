// Commands, section headers, footers and the description record, as the record loop meets them.
#include <algorithm>

#include "fuzz.h"
#include "wire/command.h"
#include "wire/record.h"

using namespace godwit;

namespace {

Result<> one_record(Input& in, Output& out) {
  GODWIT_ASSIGN(const auto type, wire::decode_record_type(in));
  switch (type) {
    case wire::RecordType::section_start:
    case wire::RecordType::section_full: {
      GODWIT_ASSIGN(const auto header, wire::decode_section_header(in));
      wire::encode_section_header(out, type, header);
      GODWIT_TRY(wire::decode_footer(in, header.id));
      wire::encode_footer(out, header.id);
      return {};
    }
    case wire::RecordType::section_part:
    case wire::RecordType::section_end: {
      GODWIT_ASSIGN(const auto id, wire::decode_section_id(in));
      wire::encode_section_id(out, type, id);
      return {};
    }
    case wire::RecordType::command: {
      GODWIT_ASSIGN(const auto command, wire::decode_command(in));
      wire::encode_command(out, command);
      return {};
    }
    default: {
      GODWIT_ASSIGN(const auto json, wire::decode_description(in));
      wire::encode_eof(out);
      Output record;
      wire::encode_description(record, json);
      out.bytes(record.data().subspan(1));
      return {};
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = fuzz::bytes(data, size);
  SpanInput in(bytes);
  while (in.offset() < size) {
    const std::uint64_t start = in.offset();
    Output out;
    if (const auto result = one_record(in, out); !result) {
      fuzz::expect_offset(result.error());
      break;
    }
    fuzz::expect(std::ranges::equal(out.data(), bytes.subspan(start, in.offset() - start)),
                 "a record encodes to its bytes");
  }
  return 0;
}
