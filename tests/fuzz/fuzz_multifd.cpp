// A whole multifd channel. The first byte chooses the compression.
#include <algorithm>
#include <vector>

#include "base/fail.h"
#include "fuzz.h"
#include "wire/multifd_compression.h"

using namespace godwit;

namespace {

constexpr std::uint64_t kBlockSize = 16 << 20;

Result<> read_channel(Input& in, std::span<const std::byte> all, wire::MultifdMethod method) {
  GODWIT_ASSIGN(const wire::MultifdHello hello, wire::decode_multifd_hello(in));
  (void)hello;
  wire::MultifdReader reader(method, [](std::string_view name) -> Result<wire::KnownBlock> {
    if (name != "m0") return fail("no such block");
    return wire::KnownBlock{0, kBlockSize};
  });
  std::unique_ptr<wire::MultifdDecompressor> decompressor;
  if (method != wire::MultifdMethod::none) {
    GODWIT_ASSIGN(decompressor, wire::make_multifd_decompressor(method));
  }
  static std::vector<std::byte> memory(wire::MultifdPacket::page_limit * page_size);
  std::vector<std::byte*> places;
  for (;;) {
    const std::uint64_t start = in.offset();
    GODWIT_TRY(reader.next(in));
    const wire::MultifdPacket& packet = reader.packet();
    std::array<std::byte, wire::MultifdPacket::header_size> again;
    wire::encode_multifd_packet(packet, again);
    // Bytes 36 to 63 are unused.
    const auto original = all.subspan(start, again.size());
    fuzz::expect(std::ranges::equal(std::span(again).first(36), original.first(36)) &&
                     std::ranges::equal(std::span(again).subspan(64), original.subspan(64)),
                 "a packet encodes to its bytes");
    fuzz::expect(packet.pages() <= packet.offsets.size(), "the pages of a packet are bounded");
    for (std::uint32_t i = 0; i < packet.pages(); ++i)
      fuzz::expect(packet.offsets[i] % page_size == 0 && packet.offsets[i] + page_size <= kBlockSize,
                   "a packet's page is inside its block");
    fuzz::expect(reader.data() <= wire::MultifdPacket::data_limit, "a packet's data is bounded");
    if (reader.data() == 0) continue;
    if (!decompressor) {
      GODWIT_TRY(in.discard(reader.data()));
      continue;
    }
    places.clear();
    for (std::uint32_t i = 0; i < packet.normal_pages; ++i) places.push_back(memory.data() + i * page_size);
    GODWIT_TRY(decompressor->read(in, reader.data(), places));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = fuzz::bytes(data + 1, size - 1);
  SpanInput in(bytes);
  fuzz::expect_offset(read_channel(in, bytes, static_cast<wire::MultifdMethod>(data[0] % 3)).error());
  return 0;
}
