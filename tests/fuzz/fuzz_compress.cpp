// One compressed page, and the data of one compressed multifd packet. The first byte chooses.
#include <array>
#include <vector>

#include "fuzz.h"
#include "wire/compress.h"
#include "wire/multifd_compression.h"

using namespace godwit;

namespace {

using Page = std::array<std::byte, page_size>;

void one_page(std::span<const std::byte> bytes) {
  static wire::PageCompressor compressor(1);
  static wire::PageDecompressor decompressor;
  bytes = bytes.first(std::min<std::size_t>(bytes.size(), wire::compressed_page_limit));
  Page page;
  if (const auto result = decompressor.decompress(bytes, page, 0); !result) {
    fuzz::expect_offset(result.error());
    return;
  }
  std::array<std::byte, wire::compressed_page_limit> again;
  const auto size = compressor.compress(page, again);
  fuzz::expect(size.has_value(), "every page can be compressed");
  Page twice;
  fuzz::expect(decompressor.decompress(std::span(again).first(*size), twice, 0).has_value() && page == twice,
               "a page that was compressed comes back");
}

void packet(std::span<const std::byte> bytes, wire::MultifdMethod method, std::size_t count) {
  const auto decompressor = wire::make_multifd_decompressor(method);
  fuzz::expect(decompressor.has_value(), "a decompressor can be made");
  std::vector<Page> pages(count);
  std::vector<std::byte*> places;
  for (Page& page : pages) places.push_back(page.data());
  SpanInput in(bytes);
  const auto result = (*decompressor)->read(in, static_cast<std::uint32_t>(bytes.size()), places);
  if (!result) fuzz::expect_offset(result.error());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = fuzz::bytes(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      one_page(bytes);
      break;
    case 1:
      packet(bytes, wire::MultifdMethod::zlib, data[0] % 7);
      break;
    default:
      packet(bytes, wire::MultifdMethod::zstd, data[0] % 7);
  }
  return 0;
}
