// Records of section "block". A fuzzer never finds a whole mebibyte: the first byte says whether the data of
// the chunks is there.
#include <algorithm>

#include "fuzz.h"
#include "wire/block_section.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = fuzz::bytes(data + 1, size - 1);
  SpanInput in(bytes);
  for (;;) {
    const std::uint64_t start = in.offset();
    const auto record = wire::decode_disk_record(in);
    if (!record) {
      fuzz::expect_offset(record.error());
      return 0;
    }
    fuzz::expect(record->payload <= wire::disk_chunk_size, "a payload is bounded");
    fuzz::expect(record->percent <= 100, "the progress is a percentage");
    Output out;
    wire::encode_disk_record(out, *record);
    fuzz::expect(std::ranges::equal(out.data(), bytes.subspan(start, in.offset() - start)),
                 "a record encodes to its bytes");
    if (data[0] % 2 != 0 && !in.discard(record->payload)) return 0;
  }
}
