// Records of pages of one block on their way out: headers in an arena, page bytes by reference. Nothing is
// copied or allocated per page. There is one per stream: it knows the block that CONTINUE refers to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/uio.h>
#include <vector>

#include <godwit/ram_block.h>

#include "engine/outgoing/stream_writer.h"
#include "wire/ram.h"

namespace godwit::engine {

class PageBatch {
 public:
  /// The most pages of one batch: 1 MiB, a write of a good size for every transport.
  static constexpr std::uint64_t capacity = 256;

  PageBatch() : arena_(2 * wire::page_header_limit + capacity * kLongestHeader) {
    vector_.reserve(2 * capacity + 1);
  }

  /// Starts anew for pages of `block`.
  void begin(const RamBlock& block);

  void add_zero(std::uint64_t page);
  void add_normal(std::uint64_t page) { add_normal(page, block_->host + page * page_size); }
  /// With the page's bytes from elsewhere. They stay until write().
  void add_normal(std::uint64_t page, const std::byte* bytes);
  /// A delta, or a page in zlib's format. The bytes stay until write().
  void add_encoded(std::uint64_t page, wire::PageKind kind, std::span<const std::byte> bytes);

  std::uint64_t zero_pages() const { return zero_pages_; }
  std::uint64_t normal_pages() const { return normal_pages_; }
  std::uint64_t encoded_pages() const { return encoded_pages_; }
  std::uint64_t pages() const { return zero_pages_ + normal_pages_ + encoded_pages_; }
  /// The next record names its block: the name counts where bytes are counted.
  bool names_block() const { return last_block_ != block_; }

  /// Writes the pages. The guest may write to them meanwhile: such a page is dirty again and is sent again.
  Result<> write(StreamWriter& out);

  /// The next record names its block: what CONTINUE refers to is not known to the receiver any more.
  void forget_block() { last_block_ = nullptr; }

 private:
  static constexpr std::size_t kLongestHeader = 8 + 4;  ///< of a page in the same block as the one before

  void add_header(std::uint64_t page, wire::PageKind kind);
  void add_bytes(const std::byte* bytes, std::size_t count);
  void close_headers();

  std::vector<std::byte> arena_;
  std::vector<iovec> vector_;
  const RamBlock* block_ = nullptr;
  std::size_t used_ = 0;           ///< bytes of the arena
  std::size_t headers_start_ = 0;  ///< arena bytes from here on are not in vector_ yet
  std::uint64_t zero_pages_ = 0;
  std::uint64_t normal_pages_ = 0;
  std::uint64_t encoded_pages_ = 0;
  const RamBlock* last_block_ = nullptr;  ///< of the record before: what CONTINUE refers to
};

}  // namespace godwit::engine
