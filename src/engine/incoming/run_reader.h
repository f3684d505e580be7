// Whole runs of normal pages from the channel into guest memory with one system call and without a copy,
// although a header of eight bytes stands before each page (wire-format section 3.3).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/uio.h>
#include <vector>

#include <godwit/dirty_bitmap.h>
#include <godwit/ram_block.h>
#include <godwit/stream.h>

#include "wire/ram.h"

namespace godwit::engine {

/// After a number of normal pages in a row it expects as many more. It reads the headers into an array and
/// the pages to their places, all at once, and looks at the headers afterwards. What turns out to be
/// something else is given back to the input, and the pages it lay in become zeros again: only pages that
/// were zeros before, because nothing was ever put there, are read into ahead.
///
/// Nobody may look at the memory meanwhile: not for a guest that runs already. One per stream; one thread.
class RunReader {
 public:
  /// So many pages in a row make a run. At most as much again lands in the wrong place when it ends.
  static constexpr std::uint64_t shortest_run = 32;
  /// The most pages of one system call; it takes two parts for each, and one more.
  static constexpr std::uint64_t longest_read = 256;
  /// 8 MiB: one or two milliseconds.
  static constexpr std::uint64_t farthest_expected = 2048;

  RunReader();

  /// The block of the last record.
  std::uint32_t block() const { return block_; }
  /// Where in it the page after that belongs.
  std::uint64_t next_offset() const { return next_offset_; }

  /// To be told of every record that was decoded. The marks between two sections do not end a run.
  void note(const wire::PageRecord& record) {
    if (!wire::is_page(record.kind)) return;
    const bool in_row = record.kind == wire::PageKind::normal && record.continued &&
                        record.offset == next_offset_ && record.block == block_;
    run_ = in_row ? run_ + 1 : 0;
    block_ = record.block;
    next_offset_ = record.kind == wire::PageKind::normal ? record.offset + page_size : 0;
  }

  /// How many pages to read ahead, now that `in` has less than `wanted` bytes left. `touched`: the pages of
  /// the current block that may hold something else than zeros.
  std::uint64_t pages_ahead(const Input& in, std::size_t wanted, const DirtyBitmap& touched) const {
    return run_ < shortest_run || in.buffered() >= wanted ? 0 : untouched_ahead(in, touched);
  }

  /// Reads `body`, of which `in` has only a part, if anything (it may be empty: all pages so far are
  /// complete), and the next `count` pages of `block`, as far as they really come. What was read is marked in
  /// `touched`.
  Result<> read(Input& in, std::span<std::byte> body, const RamBlock& block, std::uint64_t count,
                DirtyBitmap& touched);

  /// The pages of the current block, of `block_pages`, that will probably be read after the next read, if the
  /// run goes on: an eighth of what it has brought, since some of it is in vain when the run ends.
  PageRange expected(std::uint64_t block_pages) const;

  /// Pages that came in place, and bytes that landed in the wrong place: for tests and logs.
  std::uint64_t pages_in_place() const { return pages_in_place_; }
  std::uint64_t bytes_given_back() const { return bytes_given_back_; }

 private:
  static constexpr std::uint64_t header_size = 8;
  static constexpr std::uint64_t record_size = header_size + page_size;
  using Header = std::array<std::byte, header_size>;

  std::uint64_t untouched_ahead(const Input& in, const DirtyBitmap& touched) const;
  void lay_out(std::span<std::byte> body, const RamBlock& block, std::uint64_t count);
  void consume(std::size_t count);
  bool is_expected(std::uint64_t index) const;
  void put_back(Input& in, const RamBlock& block, std::uint64_t index, std::uint64_t arrived);

  // The run so far.
  std::uint64_t run_ = 0;
  std::uint32_t block_ = 0;
  std::uint64_t next_offset_ = 0;  ///< where the page after the last one belongs

  std::vector<Header> headers_;
  std::vector<iovec> parts_;
  std::size_t first_part_ = 0;  ///< parts before it are full
  std::uint64_t pages_in_place_ = 0;
  std::uint64_t bytes_given_back_ = 0;
};

}  // namespace godwit::engine
