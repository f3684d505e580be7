// A run of pages of one block on its way out: headers in an arena, page bytes by reference. Nothing is copied
// or allocated per page.
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

  PageBatch() : arena_(2 * wire::page_header_limit + capacity * 9) { vector_.reserve(2 * capacity + 1); }

  /// Starts anew for pages of `block`. `continued`: the stream's last page was of the same block.
  void begin(const RamBlock& block, bool continued);

  void add_zero(std::uint64_t page);
  void add_normal(std::uint64_t page);

  std::uint64_t zero_pages() const { return zero_pages_; }
  std::uint64_t normal_pages() const { return normal_pages_; }
  std::uint64_t pages() const { return zero_pages_ + normal_pages_; }

  /// Writes the pages. The guest may write to them meanwhile: such a page is dirty again and is sent again.
  Result<> write(StreamWriter& out);

 private:
  void close_headers();

  std::vector<std::byte> arena_;
  std::vector<iovec> vector_;
  const RamBlock* block_ = nullptr;
  std::size_t used_ = 0;           ///< bytes of the arena
  std::size_t headers_start_ = 0;  ///< arena bytes from here on are not in vector_ yet
  std::uint64_t zero_pages_ = 0;
  std::uint64_t normal_pages_ = 0;
  bool continued_ = false;
};

}  // namespace godwit::engine
