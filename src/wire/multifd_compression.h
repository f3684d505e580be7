// The pages of multifd packets through zlib or zstd: one compressed stream per channel for its whole life,
// flushed at the end of each packet (wire-format section 6.4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <godwit/stream.h>

#include "wire/multifd.h"

namespace godwit::wire {

/// The source's end of a channel. One thread.
class MultifdCompressor {
 public:
  virtual ~MultifdCompressor() = default;

  /// Adds a page of page_size bytes to the packet. It may change meanwhile: some version of it is compressed.
  virtual Result<> add(const std::byte* page) = 0;
  /// Ends the packet. Its data is at most MultifdPacket::data_limit bytes and valid until the next add().
  virtual Result<std::span<const std::byte>> finish() = 0;
};

/// The destination's end of a channel. One thread.
class MultifdDecompressor {
 public:
  virtual ~MultifdDecompressor() = default;

  /// Reads `size` bytes, one packet's data, and fills `pages` of page_size bytes each, in order. Refuses data
  /// that is damaged or holds fewer or more pages. Needs no memory beyond what the format keeps as history.
  virtual Result<> read(Input& in, std::uint32_t size, std::span<std::byte* const> pages) = 0;
};

/// `method` is not `none`. `level` as the parameters have it: 0 to 9 for zlib, 0 to 20 for zstd.
Result<std::unique_ptr<MultifdCompressor>> make_multifd_compressor(MultifdMethod method, int level);
Result<std::unique_ptr<MultifdDecompressor>> make_multifd_decompressor(MultifdMethod method);

}  // namespace godwit::wire
