// Block list and page records. The first byte chooses the list's format.
#include <algorithm>
#include <array>

#include "base/fail.h"
#include "fuzz.h"
#include "wire/ram.h"

using namespace godwit;

namespace {

Result<> read_pages(Input& in, std::span<const wire::BlockEntry> blocks, std::span<const std::byte> all) {
  wire::PageReader reader([&](std::string_view name) -> Result<wire::KnownBlock> {
    const auto found = std::ranges::find(blocks, name, &wire::BlockEntry::name);
    if (found == blocks.end()) return fail("no block '{}'", name);
    return wire::KnownBlock{static_cast<std::uint32_t>(found - blocks.begin()), found->length};
  });
  for (;;) {
    const std::uint64_t start = in.offset();
    GODWIT_ASSIGN(const auto record, reader.next(in));
    std::string_view name;
    if (wire::is_page(record.kind)) {
      fuzz::expect(record.block < blocks.size(), "a record's block is known");
      fuzz::expect(record.offset % page_size == 0 && record.offset + page_size <= blocks[record.block].length,
                   "a record's page is inside its block");
      name = blocks[record.block].name;
    }
    fuzz::expect(record.payload <= wire::compressed_page_limit, "a payload is bounded");
    std::array<std::byte, wire::page_header_limit> head;
    const std::size_t length =
        wire::encode_page_header(head.data(), record.kind, record.offset, record.continued, name);
    fuzz::expect(std::ranges::equal(std::span(head).first(length), all.subspan(start, length)),
                 "a record encodes to its bytes");
    GODWIT_TRY(in.discard(record.payload));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = fuzz::bytes(data + 1, size - 1);
  wire::BlockListFormat format;
  format.has_guest_addresses = (data[0] & 1) != 0;
  if ((data[0] & 2) != 0)
    format.has_host_page_size = [](std::string_view name) { return name.size() % 2 == 0; };
  SpanInput in(bytes);
  const auto blocks = wire::decode_block_list(in, format);
  if (!blocks) {
    fuzz::expect_offset(blocks.error());
    return 0;
  }
  Output out;
  wire::encode_block_list(out, *blocks);
  fuzz::expect(std::ranges::equal(out.data(), bytes.first(in.offset())), "a block list encodes to its bytes");
  fuzz::expect_offset(read_pages(in, *blocks, bytes).error());
  return 0;
}
