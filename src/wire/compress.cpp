#include "wire/compress.h"

#include <zlib.h>

#include "base/fail.h"

namespace godwit::wire {

// zlib reports a lack of memory when it is set up; `ready` keeps that for the first use, where there is a
// Result.
struct PageCompressor::State {
  explicit State(int level) { ready = deflateInit(&stream, level) == Z_OK; }
  ~State() {
    if (ready) deflateEnd(&stream);
  }
  z_stream stream{};
  bool ready = false;
};

PageCompressor::PageCompressor(int level) : state_(std::make_unique<State>(level)) {}
PageCompressor::~PageCompressor() = default;
PageCompressor::PageCompressor(PageCompressor&&) noexcept = default;
PageCompressor& PageCompressor::operator=(PageCompressor&&) noexcept = default;

Result<std::size_t> PageCompressor::compress(std::span<const std::byte, page_size> page,
                                             std::span<std::byte, compressed_page_limit> out) {
  z_stream& stream = state_->stream;
  if (!state_->ready || deflateReset(&stream) != Z_OK) return fail("zlib cannot be set up: out of memory");
  stream.next_in =
      reinterpret_cast<Bytef*>(const_cast<std::byte*>(page.data()));  // zlib is not const-correct
  stream.avail_in = page_size;
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = compressed_page_limit;
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
    return fail("zlib cannot compress a page into {} bytes", compressed_page_limit);
  return out.size() - stream.avail_out;
}

struct PageDecompressor::State {
  State() { ready = inflateInit(&stream) == Z_OK; }
  ~State() {
    if (ready) inflateEnd(&stream);
  }
  z_stream stream{};
  bool ready = false;
};

PageDecompressor::PageDecompressor() : state_(std::make_unique<State>()) {}
PageDecompressor::~PageDecompressor() = default;
PageDecompressor::PageDecompressor(PageDecompressor&&) noexcept = default;
PageDecompressor& PageDecompressor::operator=(PageDecompressor&&) noexcept = default;

Result<> PageDecompressor::decompress(std::span<const std::byte> data, std::span<std::byte, page_size> page,
                                      std::uint64_t stream_offset) {
  z_stream& stream = state_->stream;
  if (!state_->ready || inflateReset(&stream) != Z_OK) return fail("zlib cannot be set up: out of memory");
  stream.next_in =
      reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));  // zlib is not const-correct
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(page.data());
  stream.avail_out = page_size;
  const int result = inflate(&stream, Z_FINISH);
  const std::uint64_t offset = stream_offset + data.size() - stream.avail_in;
  if (result == Z_STREAM_END) {
    if (stream.avail_out != 0)
      return fail("compressed page: expected {} bytes before offset {:#x}, got {}", page_size, offset,
                  page_size - stream.avail_out);
    if (stream.avail_in != 0)
      return fail("compressed page: {} bytes follow the end of the data at offset {:#x}", stream.avail_in,
                  offset);
    return {};
  }
  // Z_BUF_ERROR: either side is used up before the end.
  if (result != Z_BUF_ERROR && result != Z_OK)
    return fail("compressed page: damaged data before offset {:#x}{}{}", offset, stream.msg ? ": " : "",
                stream.msg ? stream.msg : "");
  if (stream.avail_out == 0)
    return fail("compressed page: the data before offset {:#x} does not end with the page", offset);
  return fail("compressed page: the data ends at offset {:#x} in the middle of the page", offset);
}

}  // namespace godwit::wire
