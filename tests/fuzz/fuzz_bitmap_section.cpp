// Chunks of section "dirty-bitmap".
#include <algorithm>

#include "fuzz.h"
#include "wire/bitmap_section.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = fuzz::bytes(data, size);
  SpanInput in(bytes);
  wire::BitmapReader reader;
  for (;;) {
    const std::uint64_t start = in.offset();
    const auto chunk = reader.next(in);
    if (!chunk) {
      fuzz::expect_offset(chunk.error());
      return 0;
    }
    fuzz::expect(chunk->payload <= wire::bitmap_buffer_limit, "the bits are bounded");
    fuzz::expect(
        chunk->kind == wire::BitmapChunk::Kind::end || !(reader.node().empty() || reader.bitmap().empty()),
        "a chunk is about a bitmap");
    Output out;
    wire::encode_bitmap_chunk(out, *chunk);
    const auto read = bytes.subspan(start, in.offset() - start);
    // Flags of more than one byte are read and never written.
    const bool long_flags = (read[0] & std::byte{0x80}) != std::byte{0};
    fuzz::expect(long_flags || std::ranges::equal(out.data(), read), "a chunk encodes to its bytes");
    if (!in.discard(chunk->payload)) return 0;
  }
}
