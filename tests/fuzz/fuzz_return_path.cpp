// The return path, bitmaps included.
#include <algorithm>

#include "fuzz.h"
#include "wire/return_path.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = fuzz::bytes(data, size);
  SpanInput in(bytes);
  while (in.offset() < size) {
    const std::uint64_t start = in.offset();
    const auto message = wire::decode_return_message(in);
    if (!message) {
      fuzz::expect_offset(message.error());
      break;
    }
    Output out;
    wire::encode_return_message(out, *message);
    fuzz::expect(std::ranges::equal(out.data(), bytes.subspan(start, in.offset() - start)),
                 "a message encodes to its bytes");
    if (!std::holds_alternative<wire::ReceivedBitmap>(*message)) continue;
    const std::uint64_t pages = size % 2 == 0 ? 4096 : 100;
    std::vector<std::uint64_t> words((pages + 63) / 64);
    if (const auto bitmap = wire::decode_received_bitmap(in, words, pages); !bitmap) {
      fuzz::expect_offset(bitmap.error());
      break;
    }
  }
  return 0;
}
