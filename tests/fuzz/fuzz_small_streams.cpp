// What is small or has no framing of its own: messages of COLO, the head of mapped-ram, the kind of a stream,
// sections that end at their footer. The first byte chooses.
#include <algorithm>

#include "fuzz.h"
#include "wire/colo.h"
#include "wire/mapped_ram.h"
#include "wire/section_end.h"
#include "wire/stream_kind.h"

using namespace godwit;

namespace {

void colo(std::span<const std::byte> bytes) {
  SpanInput in(bytes);
  for (;;) {
    const std::uint64_t start = in.offset();
    const auto message = wire::decode_colo_message(in);
    if (!message) return fuzz::expect_offset(message.error());
    Output out;
    wire::encode_colo_message(out, *message);
    fuzz::expect(std::ranges::equal(out.data(), bytes.subspan(start, in.offset() - start)),
                 "a message encodes to its bytes");
  }
}

void mapped_ram(std::span<const std::byte> bytes) {
  SpanInput in(bytes);
  const std::uint64_t length = bytes.size() % 2 == 0 ? 16 * 1024 * 1024 : std::uint64_t{1} << 60;
  const auto header = wire::decode_mapped_ram(in, length, 0);
  if (!header) return fuzz::expect_offset(header.error());
  Output out;
  wire::encode_mapped_ram(out, *header);
  fuzz::expect(std::ranges::equal(out.data(), bytes.first(in.offset())), "a header encodes to its bytes");
  const auto bitmap = wire::decode_mapped_bitmap(in, length);
  if (!bitmap) return fuzz::expect_offset(bitmap.error());
  fuzz::expect(bitmap->size() * 8 <= bytes.size(), "a bitmap is not larger than what arrived");
}

void kind(std::span<const std::byte> bytes) {
  SpanInput in(bytes);
  const auto kind = wire::detect_stream_kind(in);
  fuzz::expect(in.offset() == 0, "nothing is consumed");
  if (!kind) fuzz::expect_offset(kind.error());
}

void section_end(std::span<const std::byte> bytes) {
  SpanInput in(bytes);
  const auto data = wire::read_to_footer(in, 5, 1000);
  if (!data) return fuzz::expect_offset(data.error());
  fuzz::expect(data->size() <= 1000 && in.offset() == data->size(), "the data is what was consumed");
  fuzz::expect(std::ranges::equal(*data, bytes.first(data->size())), "the data is that of the stream");
  fuzz::expect(bytes[data->size()] == std::byte{0x7e}, "a footer follows");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = fuzz::bytes(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      colo(bytes);
      break;
    case 1:
      mapped_ram(bytes);
      break;
    case 2:
      kind(bytes);
      break;
    default:
      section_end(bytes);
      break;
  }
  return 0;
}
