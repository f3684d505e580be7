// One page in zlib's format by itself, as the capability `compress` sends it (wire-format section 5.1). Each
// object keeps its working memory, so that nothing is allocated per page; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <godwit/ram_block.h>
#include <godwit/result.h>

#include "wire/ram.h"

namespace godwit::wire {

class PageCompressor {
 public:
  /// `level` is 0 (store) to 9.
  explicit PageCompressor(int level);
  ~PageCompressor();
  PageCompressor(PageCompressor&&) noexcept;
  PageCompressor& operator=(PageCompressor&&) noexcept;

  /// Returns how many bytes of `out` it filled. The page must not change meanwhile.
  Result<std::size_t> compress(std::span<const std::byte, page_size> page,
                               std::span<std::byte, compressed_page_limit> out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class PageDecompressor {
 public:
  PageDecompressor();
  ~PageDecompressor();
  PageDecompressor(PageDecompressor&&) noexcept;
  PageDecompressor& operator=(PageDecompressor&&) noexcept;

  /// Fills `page`. Refuses data that is damaged, that holds less or more than one page, or that goes on
  /// behind its end. `stream_offset` is where the data begins in the stream: errors name it. After an error
  /// the page may be partly written.
  Result<> decompress(std::span<const std::byte> data, std::span<std::byte, page_size> page,
                      std::uint64_t stream_offset);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace godwit::wire
